"""``enroll()``: the one road from a request to a certificate, whichever door it came by."""

from dataclasses import dataclass, replace

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import Conflict, Decision, PikaserverError
from pikaserver.api.issuance import (
    EnrollmentRequest,
    Issued,
    Pending,
    RequestRecord,
    RequestState,
)
from pikaserver.authority.admission import check_transaction
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.granting import RETRY_AFTER, Belongings, Granting, superseded
from pikaserver.authority.issuance import Draft
from pikaserver.authority.judging import Judging
from pikaserver.authority.preparation import Preparation, TemplateVersion


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen: the trace, and the draft unless a rule refused it."""

    draft: Draft | None
    trace: tuple[Decision, ...]
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """The one road."""

    judging: Judging
    preparation: Preparation
    granting: Granting

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """See ``pikaserver.api.server.Server.enroll``."""
        if request.transaction is not None:
            check_transaction(request.transaction)
        repeated = self.granting.known(request)
        if repeated is not None:
            return repeated
        trace = DecisionTrace()
        facts = self.judging.facts(request)
        version, stored = facts.version, facts.stored
        request = self.judging.judge(facts.request, version, trace, proved=stored is not None)
        outcome = self._outcome_of_stored(stored, trace)
        if outcome is not None:
            return outcome
        draft = self.preparation.prepare(request, version, facts.issuer, trace)
        if version.template.approval or request.approval:
            request_id = self.judging.waiting.store(request, version, draft.new.device, trace)
            return Pending(request_id, RETRY_AFTER, trace.decisions)
        return self._issue(request, version, draft, trace)

    def dry_run(self, request: EnrollmentRequest) -> DryRun:
        """Walk the road without leaving a step: nothing is stored, spent or signed."""
        trace = DecisionTrace()
        try:
            facts = self.judging.facts(request)
            request = self.judging.judge(facts.request, facts.version, trace)
            draft = self.preparation.prepare(request, facts.version, facts.issuer, trace)
        except PikaserverError as error:
            return DryRun(None, trace.decisions, str(error))
        return DryRun(draft, trace.decisions, None)

    def issue_approved(self, request_id: int) -> Issued:
        """Issue what somebody approved, without waiting for the requester to ask again.

        Raises:
            Conflict: it is not approved, was issued already, or asks for a pair.
            NotAuthenticated: the certificate that it renews is no longer valid.
        """
        stored, request = self.judging.waiting.load(request_id)
        if stored.state is not RequestState.APPROVED:
            raise Conflict(f"request {request_id} is {stored.state}")
        if stored.second_csr is not None:
            raise Conflict(f"request {request_id} asks for a pair of certificates")
        return self._issue_stored(stored, request)

    def _issue_stored(self, stored: RequestRecord, request: EnrollmentRequest) -> Issued:
        trace = DecisionTrace()
        # The version that was approved is the one that is signed, whatever came since.
        with self.judging.database.reading() as connection:
            version = self.judging.templates.version_in(
                connection, stored.template, stored.template_version
            )
            issuer = self.judging.authorities.view(connection).issuing_key(
                version.template.authority
            )
        request = self.judging.judge_approved(request, version, trace)
        draft = self.preparation.prepare(request, version, issuer, trace)
        # The proof was spent when the request was stored; what is used up now is the approval.
        belongings = Belongings(
            proof=self.judging.waiting.approval(stored.id),
            superseded=superseded(request, version.template),
            note=lambda connection, number: self.judging.waiting.attach(
                connection, stored.id, number
            ),
        )
        return self.granting.grant(draft, trace, belongings)

    def enroll_service(
        self, request: EnrollmentRequest, version: TemplateVersion, issuer: IssuingKey
    ) -> Issued:
        """Issue to a service of this server, under any generation of an authority.

        Raises:
            RequestRejected: a rule refused it; its trace tells which.
        """
        trace = DecisionTrace()
        version = replace(version, template=replace(version.template, devices=False))
        request = self.judging.judge(request, version, trace)
        draft = self.preparation.prepare(request, version, issuer, trace)
        return self._issue(request, version, draft, trace)

    def issued(self, record: CertificateRecord) -> Issued:
        """Return a stored certificate with its chain."""
        return self.granting.issued(record)

    def _issue(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        draft: Draft,
        trace: DecisionTrace,
    ) -> Issued:
        old = superseded(request, version.template)
        belongings = Belongings(proof=request.requester.proof, superseded=old)
        return self.granting.grant(draft, trace, belongings)

    def _outcome_of_stored(
        self, stored: RequestRecord | None, trace: DecisionTrace
    ) -> Issued | Pending | None:
        if stored is not None and stored.state is RequestState.APPROVED:
            stored, request = self.judging.waiting.load(stored.id)
            if stored.state is RequestState.APPROVED:
                return self._issue_stored(stored, request)
        return self.granting.of_stored(stored, trace)
