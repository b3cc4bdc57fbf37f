"""What a request for a pair asks: both halves, judged and drafted, and what they are called."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    RequestRecord,
)
from pikaserver.asn1.certificate import read_certificate, with_dummy_signature
from pikaserver.asn1.crmf import read_any_request
from pikaserver.asn1.csr_redaction import without_password
from pikaserver.authority.admission import check_template, check_transaction
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.holder_certificates import names_of, same_holder, same_names
from pikaserver.authority.issuance import Draft
from pikaserver.authority.judging import Facts, Judging
from pikaserver.authority.preparation import Preparation, TemplateVersion
from pikaserver.authority.requests import wish_hash
from pikaserver.storage import certificates as certificates_storage
from pikaserver.storage import pairs as storage
from pikaserver.storage.pairs import SecondWish

_GOING_ON = (CertificateStatus.VALID, CertificateStatus.PENDING)


@dataclass(frozen=True, slots=True)
class Half:
    """One of both certificates, judged: who asks for what, by which rules, and who signs."""

    request: EnrollmentRequest
    version: TemplateVersion
    issuer: IssuingKey


@dataclass(frozen=True, slots=True)
class PairWish:
    """Both halves with what would be signed, and what they are called together."""

    first: Half
    second: Half
    drafts: tuple[Draft, Draft]
    hash: str

    @property
    def needs_approval(self) -> bool:
        """Whether a person has to say yes."""
        wanted = (half.version.template.approval for half in (self.first, self.second))
        return self.first.request.approval or any(wanted)

    @property
    def stored(self) -> SecondWish:
        """What is kept of the second half."""
        second = self.second
        csr, version = without_password(second.request.csr), second.version
        return SecondWish(self.hash, csr, version.id, version.template.version)


@dataclass(frozen=True, slots=True)
class PairWishes:
    """Decides on both halves of a request before anything is signed."""

    judging: Judging
    preparation: Preparation

    def judged(
        self,
        facts: Facts,
        second: CertificationRequest,
        known: Issued | None,
        trace: DecisionTrace,
    ) -> PairWish:
        """Return the wish as both templates allow it now.

        ``known`` is the first certificate, if it is there.

        Raises:
            RequestRejected: a rule refused one half; the trace tells which.
            NotAuthenticated: what the requester shows does not count any more.
        """
        version, paired, said = facts.version, facts.second, facts.request
        if paired is None:
            why = f"template {version.template.name!r} has no template for a second certificate"
            trace.refuse("related", "a pair of certificates", f"{why}: related.pair")
        raw = replace(said, csr=second, template=paired.template.name)
        self.judging.related.check_pair(said, raw, paired.template, trace)
        proved = known is not None or facts.stored is not None
        judged = self.judging.judge(said, version, trace, proved=proved)
        first = Half(judged, version, facts.issuer)
        draft = self._draft(first, trace)
        holder = _holder(draft, known)
        _check_holder(second, (said.csr, judged.csr), holder, trace)
        asked = _second_request(judged, second, holder, paired)
        self.judging.judge_second(asked, judged.csr, paired, trace)
        other = Half(asked, paired, facts.authorities.issuing_key(paired.template.authority))
        drafts = draft, self._draft(other, trace, holder)
        return PairWish(first, other, drafts, wish_hash(said.csr, second))

    def approved(
        self,
        stored: RequestRecord,
        request: EnrollmentRequest,
        known: Issued | None,
        trace: DecisionTrace,
    ) -> PairWish:
        """Return the wish as it was approved, by the versions of the templates of that time.

        Raises:
            Conflict: the request asks for one certificate.
            RequestRejected: a template is closed by now.
        """
        templates = self.judging.templates
        with self.judging.database.reading() as connection:
            kept = storage.of_request(connection, stored.id)
            if kept is None:
                raise Conflict(f"request {stored.id} asks for one certificate")
            view = self.judging.authorities.view(connection)
            version = templates.version_in(connection, stored.template, stored.template_version)
            paired = templates.version_in(connection, kept.template, kept.template_version)
        judged = self.judging.judge_approved(request, version, trace)
        first = Half(judged, version, view.issuing_key(version.template.authority))
        draft = self._draft(first, trace)
        holder = _holder(draft, known)
        asked = _second_request(judged, read_any_request(kept.csr), holder, paired)
        check_template(asked, paired.template, trace)
        other = Half(asked, paired, view.issuing_key(paired.template.authority))
        drafts = draft, self._draft(other, trace, holder)
        return PairWish(first, other, drafts, kept.wish_hash)

    def bound_draft(self, wish: PairWish, first: Issued, trace: DecisionTrace) -> Draft:
        """Return what is signed when the first certificate is there."""
        half = wish.second
        request = replace(half.request, transaction=name_of_second(first.record))
        return self._draft(
            replace(half, request=request), trace, read_certificate(first.certificate)
        )

    def _draft(
        self, half: Half, trace: DecisionTrace, first: x509.Certificate | None = None
    ) -> Draft:
        octets = None if first is None else first.public_bytes(Encoding.DER)
        return self.preparation.prepare(half.request, half.version, half.issuer, trace, octets)

    def named(
        self, request: EnrollmentRequest, second: CertificationRequest, pair: str | None = None
    ) -> EnrollmentRequest:
        """Return the request with a transaction: what is asked for again is found by it.

        Where the requester named none, who asks for what is the name.  Once its certificate
        has ended, the same wish is a new one.
        """
        if request.transaction is not None:
            check_transaction(request.transaction)
            return request
        name = _name(request, second, pair)
        with self.judging.database.reading() as connection:
            while True:
                record = certificates_storage.by_transaction(
                    connection, request.door, name, self.judging.clock()
                )
                if record is None or record.status in _GOING_ON:
                    return replace(request, transaction=name)
                name = _digest(name, str(record.id))


def _holder(draft: Draft, known: Issued | None) -> x509.Certificate:
    """Return the first certificate, or what it would be: it says who the holder of both is."""
    if known is not None:
        return read_certificate(known.certificate)
    return with_dummy_signature(draft.new.tbs, draft.algorithm)


def _check_holder(
    second: CertificationRequest,
    said: Iterable[CertificationRequest],
    holder: x509.Certificate,
    trace: DecisionTrace,
) -> None:
    """Refuse a second request that says neither what the first does nor what comes of it."""
    same = same_holder(holder, second.subject, second.names)
    if not same and not any(
        one.subject == second.subject and same_names(one.names, second.names) for one in said
    ):
        why = "both requests of a pair have the same subject and the same names"
        trace.refuse("related", second.subject.rfc4514_string(), why)


def _second_request(
    first: EnrollmentRequest,
    second: CertificationRequest,
    holder: x509.Certificate,
    version: TemplateVersion,
) -> EnrollmentRequest:
    """Return the request for the second certificate: the same requester, holder and wishes.

    A credential for the first certificate's template counts for the one that this names.
    """
    requester = first.requester
    if requester.templates is not None:
        requester = replace(requester, templates=requester.templates | {version.template.name})
    return replace(
        first,
        csr=replace(second, subject=holder.subject, names=names_of(holder)),
        requester=requester,
        template=version.template.name,
        renews=None,
        transaction=None,
        answer=None,
    )


def _name(request: EnrollmentRequest, second: CertificationRequest, pair: str | None) -> str:
    shown = (request.renews, request.requester.certificate)
    return _digest(
        request.requester.name,
        request.template,
        str(pair),
        str(request.validity),
        *(str(one.id if one else None) for one in shown),
        wish_hash(request.csr, second),
    )


def name_of_second(first: CertificateRecord) -> str:
    """Return the transaction of the second certificate: there is one for each first."""
    return f"pair\tsecond of {first.id}"


def _digest(*parts: str) -> str:
    """Return a name that no requester can choose: a tab is none of the characters they have."""
    digest = hashlib.sha256(json.dumps(parts).encode())
    return f"pair\t{digest.hexdigest()}"
