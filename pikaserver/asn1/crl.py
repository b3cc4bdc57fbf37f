"""CRLs (RFC 5280 section 5) written as a stream, so that a million entries need no memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import BinaryIO

from cryptography import x509

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.elements import ENUMERATED, SEQUENCE

_PIECE_OCTETS = 65_536
_VERSION_2 = der.integer(1)

_AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
_CRL_NUMBER = "2.5.29.20"
_REASON_CODE = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"
_DELTA_CRL_INDICATOR = "2.5.29.27"
_ISSUING_DISTRIBUTION_POINT = "2.5.29.28"
_FRESHEST_CRL = "2.5.29.46"
_EXPIRED_CERTS_ON_CRL = "2.5.29.60"


@dataclass(frozen=True, slots=True)
class CrlHead:
    """All of a CRL but its entries.

    ``issuer`` is the Name in DER as it stands in the authority's certificate, ``algorithm``
    our name of the signature algorithm.  The optional extensions are those of complete,
    sharded and delta CRLs (RFC 5280 section 5.2), and X.509's expiredCertsOnCRL: the
    moment since which expired certificates stay on the CRL.
    """

    issuer: bytes
    algorithm: str
    this_update: datetime
    next_update: datetime
    number: int
    key_identifier: bytes
    distribution_point: x509.IssuingDistributionPoint | None = None
    delta_base: int | None = None
    freshest: x509.FreshestCRL | None = None
    expired_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """Encoded entries that can be read again and again, and how much they are."""

    count: int
    octets: int
    pieces: Callable[[], Iterable[bytes]]


def entry(
    serial: int, at: datetime, reason: RevocationReason, invalidity_at: datetime | None = None
) -> bytes:
    """Return one element of revokedCertificates.

    An unspecified reason is left out (RFC 5280 section 5.3.1).
    """
    extensions: list[bytes] = []
    if reason is not RevocationReason.UNSPECIFIED:
        extensions.append(_reason(reason))
    if invalidity_at is not None:
        extensions.append(_extension(_INVALIDITY_DATE, der.generalized_time(invalidity_at)))
    return der.sequence(
        der.integer(serial), der.time(at), der.sequence(*extensions) if extensions else b""
    )


@cache
def _reason(reason: RevocationReason) -> bytes:
    return _extension(_REASON_CODE, der.integer(reason.value, ENUMERATED))


def spool(entries: Iterable[bytes], file: BinaryIO) -> Entries:
    """Write entries to a file for reading and writing, and return them measured.

    One pass over the database gives one state; the file is read as often as needed.
    """
    start = file.tell()
    count = 0
    for encoded in entries:
        file.write(encoded)
        count += 1
    octets = file.tell() - start

    def pieces() -> Iterator[bytes]:
        file.seek(start)
        left = octets
        while left:
            piece = file.read(min(_PIECE_OCTETS, left))
            if not piece:
                raise OSError("the spooled entries of a CRL are lost")
            left -= len(piece)
            yield piece

    return Entries(count, octets, pieces)


def in_memory(entries: Iterable[bytes]) -> Entries:
    """Return a few entries measured, without a file."""
    kept = list(entries)
    return Entries(len(kept), sum(map(len, kept)), lambda: kept)


def tbs_pieces(head: CrlHead, entries: Entries) -> Iterator[bytes]:
    """Yield the TBSCertList (RFC 5280 section 5.1.2) piece by piece.

    revokedCertificates is left out when there are none (section 5.1.2.6).
    """
    before, after = _around(head, entries)
    yield der.header(SEQUENCE, len(before) + entries.octets + len(after)) + before
    yield from entries.pieces()
    yield after


def crl_pieces(head: CrlHead, entries: Entries, signature: bytes) -> Iterator[bytes]:
    """Yield the signed CertificateList piece by piece."""
    before, after = _around(head, entries)
    inner = len(before) + entries.octets + len(after)
    tbs_octets = len(der.header(SEQUENCE, inner)) + inner
    end = SIGNATURE_ALGORITHMS[head.algorithm].identifier + der.bit_string(signature)
    yield der.header(SEQUENCE, tbs_octets + len(end))
    yield from tbs_pieces(head, entries)
    yield end


def _around(head: CrlHead, entries: Entries) -> tuple[bytes, bytes]:
    """Return what stands before and after the entries inside TBSCertList."""
    before = b"".join(
        (
            _VERSION_2,
            SIGNATURE_ALGORITHMS[head.algorithm].identifier,
            head.issuer,
            der.time(head.this_update),
            der.time(head.next_update),
            der.header(SEQUENCE, entries.octets) if entries.count else b"",
        )
    )
    return before, der.context(0, der.sequence(*_extensions(head)))


def _extensions(head: CrlHead) -> Iterator[bytes]:
    key_identifier = der.context(0, head.key_identifier, constructed=False)
    yield _extension(_AUTHORITY_KEY_IDENTIFIER, der.sequence(key_identifier))
    yield _extension(_CRL_NUMBER, der.integer(head.number))
    if head.delta_base is not None:
        yield _extension(_DELTA_CRL_INDICATOR, der.integer(head.delta_base), critical=True)
    if head.distribution_point is not None:
        value = head.distribution_point.public_bytes()
        yield _extension(_ISSUING_DISTRIBUTION_POINT, value, critical=True)
    if head.freshest is not None:
        yield _extension(_FRESHEST_CRL, head.freshest.public_bytes())
    if head.expired_since is not None:
        yield _extension(_EXPIRED_CERTS_ON_CRL, der.generalized_time(head.expired_since))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = der.boolean(value=True) if critical else b""
    return der.sequence(der.oid(oid), flag, der.octet_string(value))
