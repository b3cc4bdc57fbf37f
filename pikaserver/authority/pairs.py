"""Two certificates for one request, the second bound to the first (RFC 9763).

::

    judge both, draft both      nothing is stored, spent or signed
    first certificate           proof, or approval, and the wish for the second are stored with it
    second certificate          bound to the first by its fingerprint

Whoever asks again goes on where it stopped.  The second one's transaction is named after the
first certificate, so it is issued once, however many ask.  Where nobody approved the first, and
a template asks for a person by now, the second waits for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import Conflict, PikaserverError, RequestRejected
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    RequestRecord,
    RequestState,
)
from pikaserver.api.pairs import IssuedPair
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.enroll import DryRun
from pikaserver.authority.granting import RETRY_AFTER, Belongings, Granting, superseded
from pikaserver.authority.holder_certificates import HolderCertificates
from pikaserver.authority.judging import Judging
from pikaserver.authority.pair_wishes import PairWish, PairWishes, name_of_second
from pikaserver.authority.related import PairDirectory
from pikaserver.authority.requests import wish_hash
from pikaserver.storage import pairs as storage
from pikaserver.storage.pairs import StoredPair

_NOTHING = Belongings()


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEnrollment:
    """Implements ``pikaserver.api.pairs.Pairs``."""

    directory: PairDirectory
    holders: HolderCertificates
    judging: Judging
    wishes: PairWishes
    granting: Granting

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """See the protocol."""
        return self.directory.of(record)

    def enroll(
        self, request: EnrollmentRequest, second: CertificationRequest
    ) -> IssuedPair | Pending:
        """See the protocol."""
        return self.enroll_by(request, second)

    def enroll_by(
        self, request: EnrollmentRequest, second: CertificationRequest, pair: str | None = None
    ) -> IssuedPair | Pending:
        """Do the same; the operator may name the template of the second certificate."""
        request = self.wishes.named(request, second, pair)
        first = self.granting.known(request)
        if first is not None:
            pair = self._kept_of(request, second, first).template
            other = self.granting.known(_named_second(request, second, first))
            if other is not None:
                return IssuedPair(first, other)
        trace = DecisionTrace()
        facts = self.judging.facts(request, second, pair)
        wish = self.wishes.judged(facts, second, first, trace)
        outcome = self._outcome_of_stored(facts.stored, trace)
        if outcome is not None:
            return outcome
        if wish.needs_approval:
            return self._store(wish, first, trace)
        if first is not None:
            return self._with_second(wish, first, trace)
        belongings = Belongings(
            proof=request.requester.proof,
            note=lambda connection, number: storage.begin(connection, number, wish.stored),
        )
        return self._issue(wish, trace, belongings)

    def dry_run(
        self, request: EnrollmentRequest, second: CertificationRequest, pair: str | None = None
    ) -> DryRun:
        """Walk the road without leaving a step; the draft is the first certificate's."""
        trace = DecisionTrace()
        try:
            facts = self.judging.facts(request, second, pair)
            wish = self.wishes.judged(facts, second, None, trace)
        except PikaserverError as error:
            return DryRun(None, trace.decisions, str(error))
        return DryRun(wish.drafts[0], trace.decisions, None)

    def _store(self, wish: PairWish, first: Issued | None, trace: DecisionTrace) -> Pending:
        """Let a person decide: on both, or on the second one where nobody did on the first."""
        asked, second = wish.first.request, wish.stored
        if first is not None:
            self.holders.check(first.record)
            # The proof was spent for the first certificate.
            asked = replace(asked, requester=replace(asked.requester, proof=None))
            second = replace(second, first_id=first.record.id)
        version, device = wish.first.version, wish.drafts[0].new.device
        number = self.judging.waiting.store(asked, version, device, trace, second)
        return Pending(number, RETRY_AFTER, trace.decisions)

    def issue_approved(self, request_id: int) -> IssuedPair:
        """Issue a pair that somebody approved, or the second one where the first is there.

        Raises:
            Conflict: it is not approved, or asks for one certificate.
            NotAuthenticated: the certificate that it renews is no longer valid.
        """
        stored, request = self.judging.waiting.load(request_id)
        if stored.state not in (RequestState.APPROVED, RequestState.ISSUED):
            raise Conflict(f"request {request_id} is {stored.state}")
        return self._issue_stored(stored, request)

    def _issue_stored(self, stored: RequestRecord, request: EnrollmentRequest) -> IssuedPair:
        trace = DecisionTrace()
        first = self.granting.known(request)
        wish = self.wishes.approved(stored, request, first, trace)
        if first is not None:
            return self._with_second(wish, first, trace, self._unused(stored.id, first))
        # The proof was spent when the request was stored; what is used up now is the approval.
        belongings = Belongings(
            proof=self.judging.waiting.approval(stored.id),
            note=lambda connection, number: self._note_approved(connection, stored.id, number),
        )
        return self._issue(wish, trace, belongings)

    def _unused(self, request_id: int, first: Issued) -> Belongings:
        """Return the approval, unless the first certificate used it up."""
        waiting = self.judging.waiting
        if waiting.get(request_id).certificate_id is not None:
            return _NOTHING
        return Belongings(
            proof=waiting.approval(request_id),
            note=lambda connection, _: waiting.attach(connection, request_id, first.record.id),
        )

    def _issue(self, wish: PairWish, trace: DecisionTrace, belongings: Belongings) -> IssuedPair:
        for draft in wish.drafts:
            self.granting.check(draft)
        first = self.granting.grant(wish.drafts[0], trace, belongings)
        return self._with_second(wish, first, trace)

    def _with_second(
        self,
        wish: PairWish,
        first: Issued,
        trace: DecisionTrace,
        belongings: Belongings = _NOTHING,
    ) -> IssuedPair:
        """Issue the second certificate, if it is not there; the old one is of no more use."""
        self._kept(first.record, wish.hash)
        second = _named_second(wish.second.request, wish.second.request.csr, first)
        other = self.granting.known(second)
        if other is not None:
            return IssuedPair(first, other)
        self.holders.check(first.record)
        draft = self.wishes.bound_draft(wish, first, trace)
        old = superseded(wish.first.request, wish.first.version.template)
        try:
            other = self.granting.grant(draft, trace, replace(belongings, superseded=old))
        except Conflict:
            # Where another one follows the old certificate, nobody will ever get this pair.  Of
            # this pair both would be there at once: the old one revoked, and the second.
            gone = old is not None and self.granting.is_revoked(old)
            if gone and self.granting.known(second) is None:
                self.granting.withdraw(first)
            raise
        return IssuedPair(first, other)

    def _kept_of(
        self, request: EnrollmentRequest, second: CertificationRequest, first: Issued
    ) -> StoredPair:
        """Return what was asked for together with a certificate that is there.

        Raises:
            RequestRejected: something else was asked for, or by somebody else.
        """
        if first.record.requester != request.requester.name:
            raise RequestRejected("this transaction already served another requester")
        return self._kept(first.record, wish_hash(request.csr, second))

    def _outcome_of_stored(
        self, stored: RequestRecord | None, trace: DecisionTrace
    ) -> IssuedPair | Pending | None:
        if stored is not None and stored.state is RequestState.APPROVED:
            stored, request = self.judging.waiting.load(stored.id)
            if stored.state is RequestState.APPROVED:
                return self._issue_stored(stored, request)
        outcome = self.granting.of_stored(stored, trace)
        if stored is None or not isinstance(outcome, Issued):
            return outcome if isinstance(outcome, Pending) else None
        return self._issue_stored(*self.judging.waiting.load(stored.id))

    def _note_approved(self, connection: Connection, request_id: int, first_id: int) -> None:
        self.judging.waiting.attach(connection, request_id, first_id)
        storage.begin_approved(connection, first_id, request_id)

    def _kept(self, first: CertificateRecord, wished: str) -> StoredPair:
        """Refuse to bind anything to a certificate that was asked for otherwise."""
        with self.judging.database.reading() as connection:
            kept = storage.of_first(connection, first.id)
        if kept is None or kept.wish_hash != wished:
            raise RequestRejected("this transaction already served another request")
        return kept


def _named_second(
    request: EnrollmentRequest, second: CertificationRequest, first: Issued
) -> EnrollmentRequest:
    return replace(request, csr=second, transaction=name_of_second(first.record))
