"""CertificationRequestInfo (RFC 2986 section 4.1): what a key asks an authority to certify."""

from dataclasses import dataclass

from cryptography import x509

from hsm_agent.structures import der, writing
from hsm_agent.structures.algorithms import SIGNATURE_ALGORITHMS
from hsm_agent.structures.der import INTEGER, OID, SEQUENCE, SET, Malformed, encoded
from hsm_agent.structures.kinds import CSR
from hsm_agent.structures.loading import Extensions, by_oid, check_bounds, check_name, loading

LIMIT_OCTETS = 65_536

_ATTRIBUTES = 0xA0
_VERSION_1 = b"\x02\x01\x00"
_IDENTIFIER = SIGNATURE_ALGORITHMS["ed25519"].identifier


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request that is to be; ``extensions`` are those that it asks for."""

    subject: bytes
    subject_name: x509.Name
    public_key: bytes
    extensions: Extensions
    kind: str = CSR


def read_request_info(tbs: bytes) -> RequestInfo:
    """Read a CertificationRequestInfo.

    Raises:
        Malformed: it is too large, not canonical DER, or has an attribute twice.
    """
    if len(tbs) > LIMIT_OCTETS:
        raise Malformed(f"a CertificationRequestInfo of more than {LIMIT_OCTETS} octets")
    tags = (INTEGER, SEQUENCE, SEQUENCE, _ATTRIBUTES)
    outer = der.whole(tbs, "CertificationRequestInfo")
    parts = der.fields(tbs, outer, "a CertificationRequestInfo", *tags)
    if len(parts) != len(tags) or encoded(tbs, parts[0]) != _VERSION_1:
        raise Malformed("not a CertificationRequestInfo of version 1")
    check_bounds(tbs)
    check_name(tbs, parts[1])
    _check_attributes(tbs, parts[3])
    with loading("the CertificationRequestInfo"):
        loaded = x509.load_der_x509_csr(writing.signed(tbs, _IDENTIFIER))
        if loaded.tbs_certrequest_bytes != tbs:
            raise Malformed("the CertificationRequestInfo is not in its one encoding")
        subject_name, extensions = loaded.subject, by_oid(loaded.extensions)
    return RequestInfo(
        subject=encoded(tbs, parts[1]),
        subject_name=subject_name,
        public_key=encoded(tbs, parts[2]),
        extensions=extensions,
    )


def _check_attributes(tbs: bytes, outer: der.Element) -> None:
    der.check(tbs, outer)
    found = der.children(tbs, outer)
    if not der.in_order(tbs, found):
        raise Malformed("not DER: attributes that are not in order")
    types = [encoded(tbs, der.fields(tbs, one, "an attribute", OID, SET)[0]) for one in found]
    if len({*types}) != len(types):
        raise Malformed("an attribute that is there twice")
