"""Attestations: what the card says of a key that it made, and whether Yubico vouches for the card.

A chain is: the attestation of the slot, the card's own certificate (slot f9), and authorities of
which only files of this host count.  The card brings exactly one certificate of the chain:
otherwise a genuine key in a slot could sign an "attestation" for a key that is a file.

Dates are not looked at: the card copies them from its factory certificate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.stores.piv.firmware import Version
from hsm_agent.stores.piv.names import pin_policy_name, touch_policy_name

_ARC = "1.3.6.1.4.1.41482.3."
_FIRMWARE, _SERIAL, _POLICIES, _FORM_FACTOR, _FIPS, _CSPN = (
    x509.ObjectIdentifier(f"{_ARC}{number}") for number in (3, 7, 8, 9, 10, 11)
)
_OCTET_STRING = 0x04
_INTEGER = 0x02
_FIPS_FLAG = 0x80
_FORM_FACTORS = {
    1: "USB-A keychain",
    2: "USB-A nano",
    3: "USB-C keychain",
    4: "USB-C nano",
    5: "USB-C and Lightning",
    6: "USB-A with fingerprint reader",
    7: "USB-C with fingerprint reader",
}
_LONGEST_CHAIN = 8


UNREADABLE = (
    ValueError,
    TypeError,
    IndexError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
)
"""What the library raises over octets that are no certificate, or a strange one."""


class Unverified(Exception):
    """The attestation is malformed, or does not lead to a root that this host trusts."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What an attestation says; ``public_key`` is SubjectPublicKeyInfo in DER."""

    slot: str
    public_key: bytes
    firmware: Version
    serial: int
    pin_policy: str
    touch_policy: str
    form_factor: str
    fips: bool
    cspn: bool


def read_attestation(certificate: bytes) -> Attested:
    """Read the certificate that a card made for one of its keys.

    Raises:
        Unverified: it is no such certificate.
    """
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        told = {one.oid: one.value for one in leaf.extensions}
        public_key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    except UNREADABLE as error:
        raise Unverified(f"the attestation is no certificate of a YubiKey: {error}") from error
    firmware = _octets(told, _FIRMWARE, 3)
    policies = _octets(told, _POLICIES, 2)
    # Cards before firmware 5 do not tell their form factor.
    form = _octets(told, _FORM_FACTOR, 1)[0] if _FORM_FACTOR in told else 0
    return Attested(
        slot=str(name).rpartition(" ")[2].lower(),
        public_key=public_key,
        firmware=(firmware[0], firmware[1], firmware[2]),
        serial=_integer(told, _SERIAL),
        pin_policy=pin_policy_name(policies[0]),
        touch_policy=touch_policy_name(policies[1]),
        form_factor=_FORM_FACTORS.get(form & ~_FIPS_FLAG, "unknown"),
        fips=_FIPS in told or bool(form & _FIPS_FLAG),
        cspn=_CSPN in told,
    )


class Authorities:
    """The certificates that may stand above a card's own; self-signed ones are trusted."""

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        known = list(certificates)
        self._roots = [one for one in known if one.issuer == one.subject and _signed(one, one)]
        self._others = [one for one in known if one not in self._roots]

    def verify(self, attestation: bytes, card: bytes | None) -> str:
        """Return the name of the root to which an attestation leads.

        ``card`` is the certificate of the card's slot f9.

        Raises:
            Unverified: it leads to none.
        """
        if not self._roots:
            raise Unverified("no root configured")
        if card is None:
            raise Unverified("the card has no certificate in slot f9")
        try:
            leaf = x509.load_der_x509_certificate(attestation)
            issuer = x509.load_der_x509_certificate(card)
        except UNREADABLE as error:
            raise Unverified(f"a certificate of the card cannot be read: {error}") from error
        if not _is_authority(issuer):
            raise Unverified("the certificate in slot f9 is none of an authority")
        if not _signed(leaf, issuer):
            raise Unverified("the attestation is not signed by the card's slot f9")
        return self._root_above(issuer)

    def _root_above(self, certificate: x509.Certificate) -> str:
        for _ in range(_LONGEST_CHAIN):
            for root in self._roots:
                if _signed(certificate, root):
                    return _common_name(root)
            above = next((one for one in self._others if _issued(certificate, one)), None)
            if above is None:
                break
            certificate = above
        raise Unverified(f"no configured root stands above {_issuer_name(certificate)}")


def yubico_authorities() -> Authorities:
    """Return those that Yubico publishes for PIV; they came with this program."""
    pem = files("hsm_agent.stores.piv").joinpath("yubico.pem").read_bytes()
    return Authorities(x509.load_pem_x509_certificates(pem))


def load_authorities(paths: Sequence[Path]) -> Authorities:
    """Return those of some PEM files; no file means that no card is trusted.

    Raises:
        Unverified: a file cannot be read.
    """
    found: list[x509.Certificate] = []
    for path in paths:
        try:
            read = x509.load_pem_x509_certificates(path.read_bytes())
            Authorities(read)  # some faults show only when a certificate is looked into
        except (OSError, *UNREADABLE) as error:
            raise Unverified(f"{path}: {error}") from error
        found += read
    return Authorities(found)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    return _is_authority(issuer) and _signed(certificate, issuer)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False


def _issuer_name(certificate: x509.Certificate) -> str:
    try:
        return certificate.issuer.rfc4514_string()
    except UNREADABLE:
        return "an issuer whose name cannot be read"


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _value(told: dict[x509.ObjectIdentifier, x509.ExtensionType], oid: str) -> bytes:
    extension = told.get(x509.ObjectIdentifier(oid))
    if not isinstance(extension, x509.UnrecognizedExtension):
        raise Unverified(f"the attestation does not tell {oid}")
    return extension.value


def _octets(
    told: dict[x509.ObjectIdentifier, x509.ExtensionType], oid: x509.ObjectIdentifier, number: int
) -> bytes:
    """Return so many octets; they stand there bare, or within an OCTET STRING."""
    value = _value(told, oid.dotted_string)
    if len(value) == number + 2 and value[:2] == bytes([_OCTET_STRING, number]):
        value = value[2:]
    if len(value) != number:
        raise Unverified(f"{oid.dotted_string} has {len(value)} octets, not {number}")
    return value


def _integer(
    told: dict[x509.ObjectIdentifier, x509.ExtensionType], oid: x509.ObjectIdentifier
) -> int:
    value = _value(told, oid.dotted_string)
    if value[:2] != bytes([_INTEGER, len(value) - 2 & 0xFF]) or not value[2:]:
        raise Unverified(f"{oid.dotted_string} is no INTEGER")
    return int.from_bytes(value[2:], "big", signed=True)
