"""Pairs of certificates (RFC 9763): who may have one, what is bound to what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, Certificates
from pikaserver.api.errors import MalformedRequest, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.operations import Clock
from pikaserver.api.templates import Template
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.related_certificates import (
    RelatedHash,
    RelatedRequest,
    read_related_request,
    related_extension,
    related_hash,
    verify_related,
)
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.holder_certificates import HolderCertificates, same_holder

REFUSED, REQUIRED = "refused", "required"
"""What a template says of requests for a certificate that is bound to another one."""

_HASH = "sha256"
"""What certificates are looked up by."""
_AHEAD = timedelta(minutes=5)
"""So far a client's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class RelatedCertificates:
    """Checks the request, and implements ``pikaserver.api.issuance.ExtensionProvider``."""

    holders: HolderCertificates
    clock: Clock

    def check(self, request: EnrollmentRequest, template: Template, trace: DecisionTrace) -> None:
        """Return when the certificate may be bound to the one that the request names.

        Raises:
            MalformedRequest: it is not signed by the key of that one.
            RequestRejected: the template forbids it, or wants it and none is named; or the
                named one is not valid, somebody else's, or was named too long ago.
        """
        asked = read_related_request(request.csr)
        rules = template.related
        if asked is None:
            if rules.mode == REQUIRED:
                why = "the template binds certificates to another one (RFC 9763); none is named"
                trace.refuse("related", "nothing", why)
            return
        if rules.mode == REFUSED:
            why = "the template binds no certificates to others: related.mode"
            trace.refuse("related", "another certificate", why)
        try:
            record, certificate = self._named(asked)
        except (NotFound, RequestRejected) as problem:
            trace.refuse("related", "another certificate", f"{problem} (RFC 9763 section 3.2)")
        self._check_time(asked, template, trace)
        verify_related(asked, public_key_of(certificate))
        shown = record.subject or ", ".join(record.names)
        if rules.templates and record.template not in rules.templates:
            why = f"certificates of template {record.template!r} are not paired with these"
            trace.refuse("related", shown, why)
        if not same_holder(certificate, request.csr.subject, request.csr.names):
            why = "subject and names are not those of the certificate that is named"
            trace.refuse("related", shown, why)
        if public_key_of(certificate) == request.csr.public_key:
            trace.refuse("related", shown, "both would have the same key")
        trace.allow("related", shown, "its key signed, and its holder is the same")

    def extensions(
        self, request: EnrollmentRequest, template: Template
    ) -> Sequence[x509.Extension[x509.ExtensionType]]:
        """See the protocol; a request that waited is bound to what is still valid."""
        asked = read_related_request(request.csr)
        if asked is None:
            return []
        try:
            record, _ = self._named(asked)
        except NotFound as gone:
            raise RequestRejected(str(gone)) from None
        value = related_extension(record.certificate or b"")
        return [x509.Extension(value.oid, critical=False, value=value)]

    def _named(self, asked: RelatedRequest) -> tuple[CertificateRecord, x509.Certificate]:
        record = self.holders.named(asked.certificate, asked.serial)
        return record, self.holders.check(record)

    def _check_time(self, asked: RelatedRequest, template: Template, trace: DecisionTrace) -> None:
        age = self.clock() - asked.at
        if not -_AHEAD <= age <= template.related.fresh:
            why = f"it was named at {asked.at:%Y-%m-%d %H:%M} UTC, which is not lately"
            trace.refuse("related", "another certificate", why)


@dataclass(frozen=True, slots=True)
class PairDirectory:
    """Implements ``pikaserver.api.pairs.Pairs``."""

    certificates: Certificates

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """See the protocol."""
        if record.certificate is None:
            return []
        own = _hash(record)
        found = {
            other.id: other
            for query in _queries(record, own)
            for other in self.certificates.find(query)
            if other.id != record.id and _are_bound(record, other, own)
        }
        return [found[number] for number in sorted(found, reverse=True)]


def _queries(record: CertificateRecord, own: RelatedHash | None) -> Iterator[CertificateQuery]:
    """Yield where the others may be: templates may have given each of them another subject."""
    if own is not None and own.hash == _HASH:
        yield CertificateQuery(fingerprint=own.value.hex())
    whole = CertificateQuery(limit=1000)
    if record.subject:
        yield replace(whole, subject=record.subject)
    if record.names:
        yield replace(whole, name=record.names[0])


def _are_bound(
    record: CertificateRecord, other: CertificateRecord, own: RelatedHash | None
) -> bool:
    if other.certificate is None or record.certificate is None:
        return False
    if own is not None and own.fits(other.certificate):
        return True
    theirs = _hash(other)
    return theirs is not None and theirs.fits(record.certificate)


def _hash(record: CertificateRecord) -> RelatedHash | None:
    try:
        return related_hash(x509.load_der_x509_certificate(record.certificate or b""))
    except (MalformedRequest, ValueError):
        return None
