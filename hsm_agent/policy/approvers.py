"""``[approvers.NAME]``: who can approve from afar, and with which key."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_ssh_public_key,
)

from hsm_agent.policy import values
from hsm_agent.policy.faults import WrongValue, did_you_mean
from hsm_agent.policy.tables import Place

SSH = "ssh"
ED25519 = "ed25519"
WEBAUTHN = "webauthn"
SSH_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
KEYS = (SSH, ED25519, WEBAUTHN, "rp-id", "origins")

_ED25519_OCTETS = 32
_LEAST_RSA = 2048


@dataclass(frozen=True, slots=True)
class Approver:
    """Somebody who approves from afar.

    ``kind`` is ``ssh`` (``key`` is the key blob of the OpenSSH format), ``ed25519`` (the 32
    octets) or ``webauthn`` (SubjectPublicKeyInfo in DER, with ``rp_id`` and ``origins``).
    """

    name: str
    kind: str
    key: bytes
    rp_id: str = ""
    origins: tuple[str, ...] = ()


def read_approvers(tables: Mapping[str, object], place: Place) -> dict[str, Approver]:
    """Read all approvers by name.

    Raises:
        PolicyFault: a key is not one, or two approvers have the same.
    """
    found: dict[str, Approver] = {}
    for name, table in tables.items():
        if name == values.LOCAL:
            raise place.fault(name, "is the operator at this host and needs no key")
        if not isinstance(table, dict):
            raise place.fault(name, "has to be a table")
        approver = _read_approver(name, table, place.below(name))
        for other in found.values():
            if other.key == approver.key:
                raise place.fault(name, f"has the key of {other.name}, who would count twice")
        found[name] = approver
    return found


def _read_approver(name: str, table: Mapping[str, object], place: Place) -> Approver:
    for key in table:
        if key not in KEYS:
            raise place.fault(key, f"is not a key of an approver{did_you_mean(key, KEYS)}")
    kinds = [key for key in (SSH, ED25519, WEBAUTHN) if key in table]
    if len(kinds) != 1:
        raise Place(place.text, place.path[:-1]).fault(
            name, "has to have one of ssh, ed25519 and webauthn"
        )
    kind = kinds[0]
    if kind != WEBAUTHN and len(table) > 1:
        raise place.fault(kind, "stands alone; rp-id and origins go with webauthn")
    readers = {SSH: _ssh_blob, ED25519: _ed25519_octets, WEBAUTHN: _public_key}
    key = kind
    try:
        octets = readers[kind](values.text(table[kind]))
        if kind != WEBAUTHN:
            return Approver(name, kind, octets)
        key = "rp-id"
        rp_id = values.text(table.get(key))
        key = "origins"
        origins = values.texts(table.get(key, [f"https://{rp_id}"]))
    except WrongValue as wrong:
        raise place.fault(key, str(wrong)) from None
    return Approver(name, kind, octets, rp_id, origins)


def _ssh_blob(line: str) -> bytes:
    kind, _, rest = line.strip().partition(" ")
    if kind not in SSH_TYPES:
        raise WrongValue(f"has to be a line of a .pub file: {', '.join(SSH_TYPES)}")
    try:
        key = load_ssh_public_key(line.strip().encode())
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WrongValue(f"is no OpenSSH public key: {error}") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA:
        raise WrongValue(f"is an RSA key of less than {_LEAST_RSA} bits")
    return blob


def _ed25519_octets(text: str) -> bytes:
    octets = _base64(text)
    if len(octets) != _ED25519_OCTETS:
        raise WrongValue(f"has to be {_ED25519_OCTETS} octets in base64")
    return octets


def _public_key(text: str) -> bytes:
    octets = _base64(text)
    try:
        load_der_public_key(octets)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WrongValue(f"has to be a SubjectPublicKeyInfo in base64: {error}") from None
    return octets


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise WrongValue(f"is no base64: {error}") from None
