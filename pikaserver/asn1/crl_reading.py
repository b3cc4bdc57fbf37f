"""CRLs that somebody else signed, read and verified (RFC 5280 section 5)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.elements import children
from pikaserver.asn1.refusing import refusing

LARGEST_CRL = 64 * 1024 * 1024
_LARGEST_NUMBER = (1 << 63) - 1
Kind = TypeVar("Kind", bound=x509.ExtensionType)
_KNOWN = (
    x509.AuthorityKeyIdentifier,
    x509.CRLNumber,
    x509.DeltaCRLIndicator,
    x509.FreshestCRL,
    x509.IssuingDistributionPoint,
)
_REASONS = {reason.rfc_name: reason for reason in RevocationReason}


@dataclass(frozen=True, slots=True)
class ListedRevocation:
    """One entry of a CRL."""

    serial: int
    at: datetime
    reason: RevocationReason
    invalidity_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReadCrl:
    """A CRL whose octets were read; nothing of it is verified yet.

    ``number`` is ``None`` where it has none; ``base_number`` is that of a delta's full CRL;
    ``partial`` tells that it does not cover every certificate of its issuer.
    """

    der: bytes
    issuer: x509.Name
    number: int | None
    base_number: int | None
    partial: bool
    this_update: datetime
    next_update: datetime
    loaded: x509.CertificateRevocationList

    def verify(self, public_key: bytes) -> None:
        """Check the signature with a key (SubjectPublicKeyInfo).

        Raises:
            SignatureFaulty: it is not by that key.
        """
        outer = list(children(self.der))
        tbs = self.der[outer[0].at : outer[0].end]
        try:
            algorithm = algorithm_of(self.der[outer[1].at : outer[1].end])
            verify(public_key, algorithm, self.loaded.signature, tbs)
        except (MalformedRequest, SignatureFaulty):
            raise SignatureFaulty("the CRL is not signed by this authority's key") from None

    def entries(self) -> Iterator[ListedRevocation]:
        """Yield what it lists.

        Raises:
            MalformedRequest: an entry cannot be read, or has a critical extension that is not
                known, such as another issuer's name (RFC 5280 section 5.3).
        """
        with refusing("CRL"):
            for one in self.loaded:
                yield _listed(one)


def read_crl(der: bytes) -> ReadCrl:
    """Read a CRL in DER.

    Raises:
        MalformedRequest: it is too large, no CRL, has no end, or a critical extension that is
            not known.
    """
    if len(der) > LARGEST_CRL:
        raise MalformedRequest(f"a CRL of {len(der)} octets, of at most {LARGEST_CRL}")
    with refusing("CRL"):
        loaded = x509.load_der_x509_crl(der)
        signature = list(children(der))[2]
        if der[signature.start] != 0:
            raise MalformedRequest("a signature of no whole number of octets")
        if loaded.next_update_utc is None:
            raise MalformedRequest("the CRL does not say when the next one comes")
        _refuse_critical(loaded)
        point = _extension(loaded, x509.IssuingDistributionPoint)
        delta = _extension(loaded, x509.DeltaCRLIndicator)
        numbered = _extension(loaded, x509.CRLNumber)
        number = numbered.crl_number if numbered else None
        if number is not None and not 0 <= number <= _LARGEST_NUMBER:
            raise MalformedRequest("the number of the CRL is larger than 63 bits")
        return ReadCrl(
            der=der,
            issuer=loaded.issuer,
            number=number,
            base_number=delta.crl_number if delta else None,
            partial=point is not None,
            this_update=loaded.last_update_utc,
            next_update=loaded.next_update_utc,
            loaded=loaded,
        )


def _extension(loaded: x509.CertificateRevocationList, kind: type[Kind]) -> Kind | None:
    try:
        return loaded.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _refuse_critical(loaded: x509.CertificateRevocationList) -> None:
    """Refuse what RFC 5280 section 5.2 forbids to pass over."""
    for one in loaded.extensions:
        if one.critical and not isinstance(one.value, _KNOWN):
            raise MalformedRequest(f"the critical extension {one.oid.dotted_string} is not known")


def _listed(one: x509.RevokedCertificate) -> ListedRevocation:
    reason, invalidity_at = RevocationReason.UNSPECIFIED, None
    for extension in one.extensions:
        value = extension.value
        if isinstance(value, x509.CRLReason):
            reason = _REASONS[str(value.reason.value)]
        elif isinstance(value, x509.InvalidityDate):
            invalidity_at = value.invalidity_date_utc
        elif extension.critical or isinstance(value, x509.CertificateIssuer):
            raise MalformedRequest(
                f"the extension {extension.oid.dotted_string} of an entry is not known"
            )
    return ListedRevocation(one.serial_number, one.revocation_date_utc, reason, invalidity_at)
