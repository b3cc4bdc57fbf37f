"""CSRs as no honest program writes them, with a signature that is right all the same."""

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.asn1 import der

CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7"  # noqa: S105 - an OID
UPN = "1.3.6.1.4.1.311.20.2.3"
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
MICROSOFT_REQUEST = "1.3.6.1.4.1.311.2.1.14"
SUBJECT_ALT_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
COMMON_NAME = "2.5.4.3"
UTF8, PRINTABLE, BMP, UNIVERSAL, IA5 = 0x0C, 0x13, 0x1E, 0x1C, 0x16

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def attribute_value(oid: str, value: bytes | str, tag: int = UTF8) -> bytes:
    """Return an AttributeTypeAndValue."""
    octets = value.encode() if isinstance(value, str) else value
    return der.sequence(der.oid(oid), der.element(tag, octets))


def subject(*values: bytes) -> bytes:
    """Return a Name with one RDN for each AttributeTypeAndValue."""
    return der.sequence(*(der.element(0x31, value) for value in values))


DEVICE = subject(attribute_value(COMMON_NAME, "plc-21"))


def attribute(oid: str, *values: bytes) -> bytes:
    """Return an Attribute of a request."""
    return der.sequence(der.oid(oid), der.element(0x31, *values))


def extension(oid: str, value: bytes, *, critical: bytes = b"") -> bytes:
    """Return an Extension; ``critical`` is the whole BOOLEAN."""
    return der.sequence(der.oid(oid), critical, der.octet_string(value))


def names(*general_names: bytes) -> bytes:
    """Return a subjectAltName extension of encoded GeneralNames."""
    return extension(SUBJECT_ALT_NAME, der.sequence(*general_names))


def dns(name: bytes | str) -> bytes:
    """Return a dNSName of any octets."""
    return der.element(0x82, name.encode() if isinstance(name, str) else name)


def wishes(*extensions: bytes, oid: str = EXTENSION_REQUEST) -> bytes:
    """Return an extensionRequest attribute."""
    return attribute(oid, der.sequence(*extensions))


def forged(
    *attributes: bytes,
    name: bytes = DEVICE,
    key: bytes = PUBLIC_KEY,
    version: bytes | None = None,
    algorithm: bytes = ECDSA_SHA256,
) -> bytes:
    """Return a CSR in DER, signed with `KEY`."""
    info = der.sequence(
        der.integer(0) if version is None else version,
        name,
        key,
        der.context(0, b"".join(attributes)),
    )
    return signed(info, algorithm)


def signed(info: bytes, algorithm: bytes = ECDSA_SHA256) -> bytes:
    """Return any octets as if they were a CertificationRequestInfo."""
    return der.signed(info, algorithm, KEY.sign(info, ec.ECDSA(hashes.SHA256())))


def nested(levels: int, tag: int = 0x30) -> bytes:
    """Return so many structures in each other."""
    octets = b""
    for _ in range(levels):
        octets = der.element(tag, octets)
    return octets


def with_names(*general_names: bytes) -> bytes:
    """Return a CSR of an ordinary device with these names."""
    return forged(wishes(names(*general_names)))


def truncations(octets: bytes, step: int) -> Sequence[bytes]:
    """Return the octets cut off here and there."""
    return [octets[:end] for end in range(0, len(octets), step)]
