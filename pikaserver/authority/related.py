"""Pairs of certificates (RFC 9763): who may have one, what is bound to what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, Certificates
from pikaserver.api.errors import MalformedRequest, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.operations import Clock
from pikaserver.api.templates import Template
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.related_certificates import (
    RelatedRequest,
    fingerprint_of,
    read_related_request,
    related_extension,
    related_hash,
    verify_related,
)
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.holder_certificates import HolderCertificates, same_holder

REFUSED, REQUIRED = "refused", "required"
"""What a template says of requests for a certificate that is bound to another one."""

_MOST = 1000
"""So many certificates that are bound to one are found at most."""
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

    def check_pair(
        self,
        first: EnrollmentRequest,
        second: EnrollmentRequest,
        template: Template,
        trace: DecisionTrace,
    ) -> None:
        """Return when the second certificate of a pair may be bound to the first.

        Who brings both requests at once names no certificate: the binding is the server's.

        Raises:
            RequestRejected: the second one's template forbids it, both have the same key, or
                one of the requests names a certificate by itself.
        """
        rules, asked = template.related, second.csr.subject.rfc4514_string()
        if any(read_related_request(one.csr) is not None for one in (first, second)):
            why = "the server binds both certificates of a pair: leave relatedCertRequest out"
            trace.refuse("related", asked, why)
        if rules.mode == REFUSED:
            why = f"template {template.name!r} binds no certificates to others: related.mode"
            trace.refuse("related", asked, why)
        if rules.templates and first.template not in rules.templates:
            why = (
                f"certificates of template {first.template!r} are not paired with those of"
                f" {template.name!r}: related.templates"
            )
            trace.refuse("related", asked, why)
        if first.csr.public_key == second.csr.public_key:
            trace.refuse("related", asked, "both requests of the pair have the same key")
        trace.allow("related", asked, f"both certificates by one request, this by {template.name}")

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
    """Finds what is bound to each other, by the fingerprints that stand in the database."""

    certificates: Certificates

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """See ``pikaserver.api.pairs.Pairs``."""
        if record.certificate is None:
            return []
        found = {
            other.id: other
            for query in _queries(record)
            for other in self.certificates.find(query)
            if other.id != record.id and other.certificate is not None
        }
        return [found[number] for number in sorted(found, reverse=True)]


def _queries(record: CertificateRecord) -> Iterator[CertificateQuery]:
    """Yield where the others are: those bound to this one, and the one that it is bound to."""
    yield CertificateQuery(related=record.fingerprint, limit=_MOST)
    own = _bound_to(record)
    if own is not None:
        yield CertificateQuery(fingerprint=own)


def _bound_to(record: CertificateRecord) -> str | None:
    try:
        bound = related_hash(x509.load_der_x509_certificate(record.certificate or b""))
    except (MalformedRequest, ValueError):
        return None
    return None if bound is None else fingerprint_of(bound)
