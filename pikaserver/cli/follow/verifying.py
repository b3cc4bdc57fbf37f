"""Whether a CRL that came may take its place: its signature, its issuer, and its age."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.crl_identity import CrlIdentity, read_identity
from pikaserver.asn1.crl_reading import ReadCrl, read_crl
from pikaserver.asn1.pem import is_pem, read_pem

CLOCK_DIFFERENCE = timedelta(minutes=5)
"""By so much our clock may be behind the issuer's."""
LABEL = "X509 CRL"


@dataclass(frozen=True, slots=True)
class FoundCrl:
    """A CRL that was read, and verified where issuers are known."""

    der: bytes
    identity: CrlIdentity
    next_update: datetime

    @property
    def name(self) -> str:
        """What a log calls it."""
        return f"CRL {self.identity.number} of {self.identity.this_update:%Y-%m-%d %H:%M:%S} UTC"


def read_found(octets: bytes, issuers: Sequence[x509.Certificate]) -> FoundCrl:
    """Read a CRL in DER or PEM; with issuers, it has to be by one of them.

    Raises:
        MalformedRequest: it is none, or there are several.
        SignatureFaulty: it is by somebody else.
    """
    ders = read_pem(octets, LABEL) if is_pem(octets) else [octets]
    if len(ders) != 1:
        raise MalformedRequest(f"expected one CRL, found {len(ders)}")
    read = read_crl(ders[0])
    if issuers:
        _verify(read, issuers)
    return FoundCrl(ders[0], read_identity(ders[0]), read.next_update)


def check_age(new: FoundCrl, old: Iterable[FoundCrl], now: datetime) -> None:
    """Refuse a CRL that is older than one of its issuer that is there, or not yet of today.

    Numbers count for one key; of two keys the later CRL is the newer one.

    Raises:
        RequestRejected: the text says which of the two it is.
    """
    if new.identity.this_update > now + CLOCK_DIFFERENCE:
        raise RequestRejected(f"{new.name} begins in the future, or our clock is behind")
    for there in old:
        if covers_the_same(new, there) and _is_older(new.identity, there.identity):
            raise RequestRejected(f"{new.name} is older than {there.name}, which is there")


def check_part(new: FoundCrl, before: FoundCrl | None) -> None:
    """Refuse a CRL that covers something else than the one which the same URL gave before.

    Raises:
        RequestRejected: it is another issuer's, another part, or a delta in a full one's place.
    """
    if before is not None and not covers_the_same(new, before):
        raise RequestRejected(f"{new.name} is by another issuer, or about something else")


def covers_the_same(one: FoundCrl, other: FoundCrl) -> bool:
    """Tell whether two CRLs are about the same certificates, be it by another key."""
    first, second = one.identity, other.identity
    return (first.issuer, first.distribution_point, first.is_delta) == (
        second.issuer,
        second.distribution_point,
        second.is_delta,
    )


def _is_older(new: CrlIdentity, old: CrlIdentity) -> bool:
    if new.is_line_of(old):
        return new.is_older_than(old)
    return new.this_update < old.this_update


def _verify(read: ReadCrl, issuers: Sequence[x509.Certificate]) -> None:
    for issuer in issuers:
        if issuer.subject != read.issuer:
            continue
        try:
            read.verify(public_key_of(issuer))
        except SignatureFaulty:
            continue
        return
    raise SignatureFaulty(f"the CRL of {read.issuer.rfc4514_string()} is not by a known issuer")
