"""``enroll()``: the one road from a request to a certificate, whichever door it came by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from pikaserver.api.certificates import (
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.errors import (
    Conflict,
    Decision,
    PikaserverError,
    RequestRejected,
    Unavailable,
)
from pikaserver.api.issuance import (
    EnrollmentRequest,
    Issued,
    Pending,
    RequestRecord,
    RequestState,
    Validator,
)
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.authority.admission import (
    admit,
    ask_validators,
    check_renewal,
    check_template,
    check_transaction,
)
from pikaserver.authority.authorities import AuthorityDirectory, AuthorityView, IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.issuance import Draft, Issuance, Together, no_step
from pikaserver.authority.possession import Possession
from pikaserver.authority.preparation import Preparation, TemplateVersion
from pikaserver.authority.related import RelatedCertificates
from pikaserver.authority.renewal import as_holder, with_names_of
from pikaserver.authority.renewal_windows import RenewalWindows
from pikaserver.authority.requests import BEING_SIGNED, WaitingRequests
from pikaserver.authority.revocation import Revocations
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage import certificates as certificates_storage

RETRY_AFTER = 60
"""Seconds after which a client may ask again whether somebody approved."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen: the trace, and the draft unless a rule refused it."""

    draft: Draft | None
    trace: tuple[Decision, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the database says when a request comes, read in one view."""

    request: EnrollmentRequest
    version: TemplateVersion
    authorities: AuthorityView
    stored: RequestRecord | None

    @property
    def issuer(self) -> IssuingKey:
        """The key that signs; a disabled or revoked one is found out no earlier than here."""
        return self.authorities.issuing_key(self.version.template.authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """The one road."""

    database: Database
    authorities: AuthorityDirectory
    templates: TemplateDirectory
    preparation: Preparation
    issuance: Issuance
    waiting: WaitingRequests
    revocations: Revocations
    windows: RenewalWindows
    possession: Possession
    related: RelatedCertificates
    validators: Sequence[Validator]
    clock: Clock

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """See ``pikaserver.api.server.Server.enroll``."""
        repeated = self._outcome_of_transaction(request)
        if repeated is not None:
            return repeated
        trace = DecisionTrace()
        facts = self._facts(request)
        version = facts.version
        request = self._judge(facts.request, version, trace, facts.stored)
        outcome = self._outcome_of_stored(facts.stored, trace)
        if outcome is not None:
            return outcome
        draft = self.preparation.prepare(request, version, facts.issuer, trace)
        if version.template.approval or request.approval:
            request_id = self.waiting.store(request, version, draft.new.device, trace)
            return Pending(request_id, RETRY_AFTER, trace.decisions)
        return self._issue(request, version, draft, trace)

    def dry_run(self, request: EnrollmentRequest) -> DryRun:
        """Walk the road without leaving a step: nothing is stored, spent or signed."""
        trace = DecisionTrace()
        try:
            facts = self._facts(request)
            request = self._judge(facts.request, facts.version, trace)
            draft = self.preparation.prepare(request, facts.version, facts.issuer, trace)
        except PikaserverError as error:
            return DryRun(None, trace.decisions, str(error))
        return DryRun(draft, trace.decisions, None)

    def issue_approved(self, request_id: int) -> Issued:
        """Issue what somebody approved, without waiting for the requester to ask again.

        Raises:
            Conflict: it is not approved, or was issued already.
            NotAuthenticated: the certificate that it renews is no longer valid.
        """
        stored, request = self.waiting.load(request_id)
        if stored.state is not RequestState.APPROVED:
            raise Conflict(f"request {request_id} is {stored.state}")
        return self._issue_stored(stored, request)

    def _issue_stored(self, stored: RequestRecord, request: EnrollmentRequest) -> Issued:
        trace = DecisionTrace()
        # The version that was approved is the one that is signed, whatever came since.
        with self.database.reading() as connection:
            version = self.templates.version_in(
                connection, stored.template, stored.template_version
            )
            issuer = self.authorities.view(connection).issuing_key(version.template.authority)
        check_template(request, version.template, trace)
        if request.renews is not None:
            check_renewal(request.renews, version.template, self._may_renew, trace)
        request = with_names_of(request, version.template, trace)
        draft = self.preparation.prepare(request, version, issuer, trace)
        return self._issue(request, version, draft, trace, stored)

    def enroll_service(
        self, request: EnrollmentRequest, version: TemplateVersion, issuer: IssuingKey
    ) -> Issued:
        """Issue to a service of this server, under any generation of an authority.

        Raises:
            RequestRejected: a rule refused it; its trace tells which.
        """
        trace = DecisionTrace()
        version = replace(version, template=replace(version.template, devices=False))
        request = self._judge(request, version, trace)
        draft = self.preparation.prepare(request, version, issuer, trace)
        return self._issue(request, version, draft, trace)

    def _facts(self, request: EnrollmentRequest) -> _Facts:
        """Look everything up at once."""
        with self.database.reading() as connection:
            return _Facts(
                self._as_of_now(connection, request),
                self.templates.version_in(connection, request.template),
                self.authorities.view(connection),
                self.waiting.find_in(connection, request),
            )

    def _as_of_now(self, connection: Connection, request: EnrollmentRequest) -> EnrollmentRequest:
        """Read the certificates that the door brought along again: their status counts now."""
        shown, renews = request.requester.certificate, request.renews
        if shown is not None:
            shown = certificates_storage.get(connection, shown.id, self.clock())
            request = replace(request, requester=replace(request.requester, certificate=shown))
        if renews is not None:
            renews = certificates_storage.get(connection, renews.id, self.clock())
            request = replace(request, renews=renews)
        return request

    def _judge(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        trace: DecisionTrace,
        stored: RequestRecord | None = None,
    ) -> EnrollmentRequest:
        template = version.template
        admit(request, template, trace)
        self.possession.check(request, template, trace, proved=stored is not None)
        request = as_holder(request, template, trace)
        if request.renews is not None:
            check_renewal(request.renews, template, self._may_renew, trace)
        request = with_names_of(request, template, trace)
        self.related.check(request, template, trace)
        ask_validators(self.validators, request, template, trace)
        return request

    def _may_renew(self, old: CertificateRecord, opens: datetime) -> bool:
        return self.clock() >= opens or self.windows.opened_early(old)

    def _issue(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        draft: Draft,
        trace: DecisionTrace,
        stored: RequestRecord | None = None,
    ) -> Issued:
        superseded: list[CertificateRecord] = []

        def with_certificate(connection: Connection, certificate_id: int, _der: bytes) -> None:
            if stored is not None:
                self.waiting.attach(connection, stored.id, certificate_id)
            if request.renews is not None and version.template.renewal.revoke_old:
                revocation = Revocation(self.clock(), RevocationReason.SUPERSEDED)
                superseded.append(
                    self.revocations.revoke_in(
                        connection, request.renews, revocation, request.requester.name
                    )
                )

        # The proof of a request that had to wait was spent when it was stored; what is used
        # up now is the approval.
        proof = request.requester.proof if stored is None else self.waiting.approval(stored.id)
        together = Together(
            with_intent=proof.spend if proof else no_step,
            undone=proof.restore if proof else no_step,
            with_certificate=with_certificate,
        )
        try:
            record = self.issuance.issue(draft, together)
        except Conflict:
            # The same transaction came twice at the same moment; the first one has issued.
            repeated = self._outcome_of_transaction(request)
            if repeated is None:
                raise
            return repeated
        for revoked in superseded:
            self.revocations.announce(revoked)
        return _issued(record, draft.chain, trace.decisions)

    def issued(self, record: CertificateRecord, trace: tuple[Decision, ...] = ()) -> Issued:
        """Return a stored certificate with its chain."""
        generation = self.authorities.key(record.authority, record.generation).generation
        return _issued(record, (generation.certificate, *generation.chain), trace)

    def _outcome_of_transaction(self, request: EnrollmentRequest) -> Issued | None:
        if request.transaction is None:
            return None
        check_transaction(request.transaction)
        with self.database.reading() as connection:
            record = certificates_storage.by_transaction(
                connection, request.door, request.transaction, self.clock()
            )
        if record is None:
            return None
        issued = self.issued(record)
        if public_key_of(read_certificate(issued.certificate)) != request.csr.public_key:
            raise RequestRejected("this transaction already served another key")
        return issued

    def _outcome_of_stored(
        self, stored: RequestRecord | None, trace: DecisionTrace
    ) -> Issued | Pending | None:
        """Return what came of a request; nothing if it has to be decided on (again)."""
        if stored is None:
            return None
        if stored.state is RequestState.APPROVED:
            stored, request = self.waiting.load(stored.id)
            if stored.state is RequestState.APPROVED:
                return self._issue_stored(stored, request)
        if stored.state is RequestState.DECLINED:
            why = stored.comment or "no reason was given"
            trace.refuse("approval", f"request {stored.id}", f"it was declined: {why}")
        if stored.certificate_id is None:
            return Pending(stored.id, RETRY_AFTER, trace.decisions)
        with self.database.reading() as connection:
            record = certificates_storage.get(connection, stored.certificate_id, self.clock())
        if record.status is not CertificateStatus.VALID:
            return None
        return self.issued(record, trace.decisions)


def _issued(
    record: CertificateRecord, chain: tuple[bytes, ...], trace: tuple[Decision, ...]
) -> Issued:
    if record.certificate is None:
        # The same transaction on another thread or node, or one that a crash interrupted.
        raise Unavailable("this certificate is being signed: ask again", BEING_SIGNED)
    return Issued(record, record.certificate, chain, trace)
