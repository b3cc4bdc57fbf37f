"""TBSCertificate (RFC 5280 section 4.1), version 3 only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cryptography import x509

from hsm_agent.structures import der, writing
from hsm_agent.structures.algorithms import algorithm_name
from hsm_agent.structures.der import GENERALIZED_TIME, INTEGER, SEQUENCE, Malformed, encoded
from hsm_agent.structures.kinds import CA_CERT, CERT
from hsm_agent.structures.loading import (
    Extensions,
    by_oid,
    check_bounds,
    check_name,
    explicit,
    extension_values,
    loading,
)

LIMIT_OCTETS = 65_536
SERIAL_OCTETS = 20

_VERSION = 0xA0
_EXTENSIONS = 0xA3
_VERSION_3 = b"\xa0\x03\x02\x01\x02"
_HEAD = (_VERSION, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE)
_BASIC_CONSTRAINTS = "2.5.29.19"
_KEY_USAGE = "2.5.29.15"
_PURPOSES = "2.5.29.37"
_GENERALIZED_YEAR = 2050

KEY_CERT_SIGN = "keyCertSign"
KEY_USAGES: Mapping[str, str] = MappingProxyType(
    {
        "digitalSignature": "digital_signature",
        "nonRepudiation": "content_commitment",
        "keyEncipherment": "key_encipherment",
        "dataEncipherment": "data_encipherment",
        "keyAgreement": "key_agreement",
        KEY_CERT_SIGN: "key_cert_sign",
        "cRLSign": "crl_sign",
        "encipherOnly": "encipher_only",
        "decipherOnly": "decipher_only",
    }
)
"""The bits of RFC 5280 section 4.2.1.3 and what cryptography calls them."""
_USAGES_ALONE = tuple(KEY_USAGES.items())[:7]


@dataclass(frozen=True, slots=True)
class TbsCertificate:
    """A certificate that is to be; names and the public key also as the octets they are.

    ``algorithm`` is our name of the inner AlgorithmIdentifier, or its dotted OID; ``is_ca`` and
    ``path_length`` are those of basicConstraints, ``purposes`` dotted OIDs.  Usages and
    purposes are ``None`` without their extension, which allows all of them.
    """

    kind: str
    serial: int
    algorithm: str
    issuer: bytes
    subject: bytes
    subject_name: x509.Name
    not_before: datetime
    not_after: datetime
    public_key: bytes
    is_ca: bool
    path_length: int | None
    key_usage: tuple[str, ...] | None
    purposes: tuple[str, ...] | None
    extensions: Extensions


def read_tbs_certificate(tbs: bytes) -> TbsCertificate:
    """Read a TBSCertificate; every extension that cryptography knows is decoded.

    Raises:
        Malformed: it is too large, not canonical DER, of version 1 or 2, has unique
            identifiers, or a serial number that RFC 5280 section 4.1.2.2 does not allow.
    """
    if len(tbs) > LIMIT_OCTETS:
        raise Malformed(f"a TBSCertificate of more than {LIMIT_OCTETS} octets")
    parts = der.fields(tbs, der.whole(tbs, "TBSCertificate"), "a TBSCertificate", *_HEAD)
    if encoded(tbs, parts[0]) != _VERSION_3 or [one.tag for one in parts[7:]] not in (
        [],
        [_EXTENSIONS],
    ):
        raise Malformed("not a TBSCertificate of version 3 without unique identifiers")
    serial = read_serial(tbs, parts[1])
    check_bounds(tbs)
    check_name(tbs, parts[5])
    with loading("the TBSCertificate"):
        loaded = x509.load_der_x509_certificate(writing.signed(tbs, encoded(tbs, parts[2])))
        subject_name, extensions = loaded.subject, by_oid(loaded.extensions)
        not_before, not_after = loaded.not_valid_before_utc, loaded.not_valid_after_utc
    if loaded.tbs_certificate_bytes != tbs:
        raise Malformed("the TBSCertificate is not in its one encoding")
    _check_validity(tbs, parts[4], not_before, not_after)
    if parts[7:]:
        extension_values(tbs, explicit(tbs, parts[7]), extensions)
    usages, ca = _usages(extensions), _constraints(extensions)
    return TbsCertificate(
        kind=CA_CERT if (ca and ca.ca) or KEY_CERT_SIGN in (usages or ()) else CERT,
        serial=serial,
        algorithm=algorithm_name(tbs, parts[2].at, parts[2].end),
        issuer=encoded(tbs, parts[3]),
        subject=encoded(tbs, parts[5]),
        subject_name=subject_name,
        not_before=not_before,
        not_after=not_after,
        public_key=encoded(tbs, parts[6]),
        is_ca=bool(ca and ca.ca),
        path_length=ca.path_length if ca else None,
        key_usage=usages,
        purposes=_purposes(extensions),
        extensions=extensions,
    )


def read_serial(octets: bytes, found: der.Element) -> int:
    """Return a serial number: positive, of at most 20 octets.

    Raises:
        Malformed: it is not.
    """
    serial = der.integer(octets, found, "a serial number")
    if serial <= 0 or found.end - found.start > SERIAL_OCTETS:
        raise Malformed("a serial number is positive and has at most 20 octets")
    return serial


def _check_validity(
    tbs: bytes, found: der.Element, not_before: datetime, not_after: datetime
) -> None:
    """Cryptography leaves open which of the two types a time has (RFC 5280 section 4.1.2.5)."""
    times = der.children(tbs, found)
    for moment, one in zip((not_before, not_after), times, strict=True):
        if one.tag == GENERALIZED_TIME and moment.year < _GENERALIZED_YEAR:
            raise Malformed("a time of the validity before 2050 has to be UTCTime")
    if not_after < not_before:
        raise Malformed("the validity ends before it begins")


def _constraints(extensions: Extensions) -> x509.BasicConstraints | None:
    found = extensions.get(_BASIC_CONSTRAINTS)
    return found.value if found and isinstance(found.value, x509.BasicConstraints) else None


def _usages(extensions: Extensions) -> tuple[str, ...] | None:
    found = extensions.get(_KEY_USAGE)
    if found is None or not isinstance(found.value, x509.KeyUsage):
        return None
    usage = found.value
    # The last two bits only count beside keyAgreement, and the getters insist on that.
    fields = KEY_USAGES.items() if usage.key_agreement else _USAGES_ALONE
    return tuple(name for name, field in fields if getattr(usage, field))


def _purposes(extensions: Extensions) -> tuple[str, ...] | None:
    found = extensions.get(_PURPOSES)
    if found is None or not isinstance(found.value, x509.ExtendedKeyUsage):
        return None
    return tuple(oid.dotted_string for oid in found.value)
