"""OCSP answers (RFC 6960 section 4.2), written from their inside out."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache, lru_cache

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.elements import ENUMERATED
from pikaserver.asn1.identifiers import key_bits
from pikaserver.asn1.ocsp import (
    ARCHIVE_CUTOFF,
    BASIC,
    EXTENDED_REVOKE,
    INVALIDITY_DATE,
    ResponseStatus,
    extensions_element,
    write_extension,
)

GOOD = der.context(0, b"", constructed=False)
"""CertStatus of a certificate that is not revoked."""

UNKNOWN = der.context(2, b"", constructed=False)
"""CertStatus of a certificate about which nothing is known."""

EXTENDED_REVOKED = write_extension(EXTENDED_REVOKE, der.null())
"""Says that ``revoked`` may mean "never issued" here (RFC 6960 section 4.4.8)."""

_BASIC_OID = der.oid(BASIC)


def by_name(subject: bytes) -> bytes:
    """Return the ResponderID of a Name in DER."""
    return der.context(1, subject)


def by_key(spki: bytes) -> bytes:
    """Return the ResponderID of a public key: SHA-1 of its octets."""
    digest = hashlib.sha1(key_bits(spki), usedforsecurity=False).digest()
    return der.context(2, der.octet_string(digest))


def revoked(revocation: Revocation) -> bytes:
    """Return the CertStatus of a revoked certificate; an unspecified reason is left out."""
    return der.context(1, der.generalized_time(revocation.at) + _reason(revocation.reason))


@cache
def _reason(reason: RevocationReason) -> bytes:
    if reason is RevocationReason.UNSPECIFIED:
        return b""
    return der.context(0, der.integer(reason.value, ENUMERATED))


def invalidity_date(moment: datetime) -> bytes:
    """Return the single extension that tells since when the key must not be trusted."""
    return write_extension(INVALIDITY_DATE, der.generalized_time(moment))


def archive_cutoff(moment: datetime) -> bytes:
    """Return the single extension of RFC 6960 section 4.4.4."""
    return write_extension(ARCHIVE_CUTOFF, der.generalized_time(moment))


def single_response(
    cert_id: bytes,
    status: bytes,
    this_update: datetime,
    next_update: datetime,
    extensions: Sequence[bytes] = (),
) -> bytes:
    """Return the answer for one certificate."""
    return der.sequence(
        cert_id,
        status,
        _time(this_update),
        der.context(0, _time(next_update)),
        extensions_element(1, extensions),
    )


def response_data(
    responder_id: bytes,
    produced_at: datetime,
    singles: Iterable[bytes],
    extensions: Sequence[bytes] = (),
) -> bytes:
    """Return ResponseData: what a responder signs."""
    return der.sequence(
        responder_id,
        _time(produced_at),
        der.sequence(*singles),
        extensions_element(1, extensions),
    )


# Answers of one second have the same times.
_time = lru_cache(maxsize=64)(der.generalized_time)


def signed_part(tbs: bytes, algorithm: str, signature: bytes) -> bytes:
    """Return BasicOCSPResponse without its certificates and without its own tag."""
    return tbs + SIGNATURE_ALGORITHMS[algorithm].identifier + der.bit_string(signature)


def response(signed: bytes, certificates: Sequence[bytes] = ()) -> bytes:
    """Return the whole OCSPResponse around a `signed_part`."""
    enclosed = der.context(0, der.sequence(*certificates)) if certificates else b""
    basic = der.octet_string(der.sequence(signed, enclosed))
    return der.sequence(
        _status(ResponseStatus.SUCCESSFUL), der.context(0, der.sequence(_BASIC_OID, basic))
    )


@cache
def error_response(status: ResponseStatus) -> bytes:
    """Return an answer that is only a status, and unsigned (RFC 6960 section 2.3)."""
    return der.sequence(_status(status))


def _status(status: ResponseStatus) -> bytes:
    return der.integer(status.value, ENUMERATED)
