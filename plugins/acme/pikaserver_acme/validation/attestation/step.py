"""The format ``step``: the attested key signs, and a chain says where it lives: YubiKey PIV.

The leaf of the chain is what the hardware certified: for a YubiKey the attestation of a slot, with
the card's own certificate (slot f9) above.  Other hardware names itself in the subjectAltName.
"""

from datetime import datetime

from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import INTEGER, read_element
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation.anchors import anchors
from pikaserver_acme.validation.attestation.evidence import Evidence
from pikaserver_acme.validation.attestation.identities import identities, public_key
from pikaserver_acme.validation.attestation.signatures import verify
from pikaserver_acme.validation.attestation.statements import Statement, read_cbor
from pikaserver_acme.validation.question import Question

_ARC = "1.3.6.1.4.1.41482.3."
_FIRMWARE, _SERIAL, _POLICIES = (x509.ObjectIdentifier(f"{_ARC}{number}") for number in (3, 7, 8))
_PIN_POLICIES = {0: "default", 1: "never", 2: "once", 3: "always"}
_TOUCH_POLICIES = {0: "default", 1: "never", 2: "always", 3: "cached"}


def evidence(statement: Statement, question: Question, now: datetime) -> Evidence:
    """Return what the attestation proves.

    Raises:
        Failed: it proves nothing, or belongs to another challenge or account.
    """
    trusted = anchors("step", question.limits.attestation_roots.get("step", ()))
    leaf = trusted.leaf(statement.certificates(), now)
    key = public_key(leaf)
    signature = read_cbor(statement.octets("sig"))
    if not isinstance(signature, bytes):
        raise Failed("badAttestationStatement", "sig should be a byte string in CBOR")
    verify(key, statement.number("alg"), signature, question.key_authorization.encode())
    named = identities(leaf)
    facts = _yubikey(leaf)
    serials = (facts["serial"],) if facts else ()
    return Evidence(key, (*serials, *named.permanent), named.modules, facts)


def _yubikey(leaf: x509.Certificate) -> dict[str, str]:
    """Return what a YubiKey tells of itself, nothing for other hardware."""
    told = {
        one.oid: one.value.value
        for one in leaf.extensions
        if isinstance(one.value, x509.UnrecognizedExtension)
    }
    if _SERIAL not in told:
        return {}
    facts = {"hardware": "YubiKey", "serial": str(_integer(told[_SERIAL]))}
    if len(told.get(_FIRMWARE, b"")) == 3:  # noqa: PLR2004 - major, minor, patch
        facts["firmware"] = ".".join(map(str, told[_FIRMWARE]))
    if len(told.get(_POLICIES, b"")) == 2:  # noqa: PLR2004 - PIN, touch
        pin, touch = told[_POLICIES]
        facts["pin_policy"] = _PIN_POLICIES.get(pin, str(pin))
        facts["touch_policy"] = _TOUCH_POLICIES.get(touch, str(touch))
    return facts


def _integer(der: bytes) -> int:
    try:
        found = read_element(der, 0)
    except MalformedRequest as error:
        raise Failed("badAttestationStatement", f"the serial number: {error}") from error
    if found.tag != INTEGER or found.end != len(der) or found.start == found.end:
        raise Failed("badAttestationStatement", "the serial number is no INTEGER")
    return int.from_bytes(der[found.start : found.end], "big", signed=True)
