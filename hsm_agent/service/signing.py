"""Signatures, step by step: nothing uses a key before its line is on disk.

Requests that came together, for one key, are decided in a row; their lines share one write and
one fsync, and the key gets all of them at once.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hsm_agent.approvals.approvals import Approvals, Wanted
from hsm_agent.approvals.faults import Declined, StillWaiting, TooManyWait
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import BEGINNING, Field
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.journal.uses import Use
from hsm_agent.keys.held_keys import Keyring
from hsm_agent.policy.decide import decide
from hsm_agent.policy.policy import Policy
from hsm_agent.policy.verdicts import Allowed, Approval, Denied, Facts, NeedsApproval
from hsm_agent.service.cases import LONGEST_FACT, Case, Cases, check_life, line_fields
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal
from hsm_agent.service.showing import approval_text, printable
from hsm_agent.service.verification import SignatureFaulty, verify
from hsm_agent.service.windows import Windows
from hsm_agent.stores.store import Outcome
from hsm_agent.structures.crl import TbsCertList
from hsm_agent.wire.messages import Mark, Sign

SERIALS_PER_LINE = 1000
FULL_AFTER = 60_000
"""Milliseconds after which there may be room for one more to wait for approval."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a request: a signature and the mark of its line, or why there is none."""

    request: Sign
    signature: bytes
    mark: Mark
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Decided:
    """A request that may use its key: its place was taken at ``begun``, its line is written."""

    case: Case
    begun: int
    fields: dict[str, Field]
    use: Use | None = None
    mark: Mark = BEGINNING


class Signing:
    """Signs; any number of threads may ask at once."""

    def __init__(
        self,
        keyring: Keyring,
        policies: Callable[[], Policy],
        journal: Journal,
        memory: JournalMemory,
        approvals: Approvals,
        now: Callable[[], int],
    ) -> None:
        self._cases = Cases(keyring, policies, memory, now)
        self._journal = journal
        self._memory = memory
        self._approvals = approvals
        self._now = now
        self._windows = Windows(now)

    def waiting(self) -> int:
        """Return how many requests are on their way to keys."""
        return self._windows.waiting()

    def sign(self, requests: Sequence[Sign], line: LineFacts) -> Iterator[Sequence[Settled]]:
        """Yield what came of requests for one key and algorithm, as it comes.

        What comes first, perhaps nothing, is what was refused: then all is decided and journaled.
        A fault is a `Refusal`, a `JournalFault`, or something that nobody expected; with any
        of them nothing was signed, or nothing that may leave the agent.
        """
        cases, settled = [], []
        for request in requests:
            try:
                cases.append(self._cases.look_up(request, line))
            except Exception as fault:  # noqa: BLE001 - one request must not harm the others
                settled.append(_failed(request, fault))
        decided = self._decided(cases, settled) if cases else []
        try:
            yield settled
            if decided:
                yield from self._use_key(decided)
        finally:
            # Whoever takes the first answers may want no others.
            for one in decided:
                self._windows.leave(one.case.key.name, one.begun)

    def _decided(self, cases: Sequence[Case], settled: list[Settled]) -> list[_Decided]:
        """Decide and journal; from then on places on the way to the key are held."""
        decided: list[_Decided] = []
        try:
            with self._memory.deciding(cases[0].request.key):
                for case in cases:
                    try:
                        decided.append(self._decide(case))
                    except Exception as fault:  # noqa: BLE001 - as above
                        settled.append(_failed(case.request, fault))
        except JournalFault as fault:
            settled.extend(_failed(case.request, fault) for case in cases)
        return self._journaled(decided, settled)

    def _decide(self, case: Case) -> _Decided:
        facts, approved_by = self._verdict(case)
        begun = self._windows.enter(case.key.name, case.rules.window)
        try:
            fields = line_fields(case, facts, approved_by)
            if isinstance(case.structure, TbsCertList):
                # CRLs are compared with the one before: no other may be decided meanwhile.
                self._note_serials(case, case.structure)
                mark = self._journal.append("sign", **fields)
                return _Decided(case, begun, fields, mark=mark)
            use = self._memory.reserve({**fields, "ts": self._now()})
            return _Decided(case, begun, fields, use)
        except Exception:
            self._windows.leave(case.key.name, begun)
            raise

    def _journaled(self, decided: list[_Decided], settled: list[Settled]) -> list[_Decided]:
        """Bring the lines to the disk that are not there yet."""
        open_ones = [one for one in decided if not one.mark.index]
        try:
            marks = self._journal.append_all("sign", [one.fields for one in open_ones])
        except Exception as fault:  # noqa: BLE001 - as above: places must not be lost with it
            for one in open_ones:
                self._windows.leave(one.case.key.name, one.begun)
            settled.extend(_failed(one.case.request, fault) for one in open_ones)
            return [one for one in decided if one.mark.index]
        finally:
            for one in open_ones:
                if one.use is not None:
                    self._memory.release(one.use)
        fresh = zip(open_ones, marks, strict=True)
        return [one for one in decided if one.mark.index] + [
            replace(one, mark=mark) for one, mark in fresh
        ]

    def _verdict(self, case: Case) -> tuple[Facts, tuple[str, ...]]:
        """Return what the structure says, and who approved it where somebody had to."""
        match decide(case.rules, case.structure, case.asked, self._memory):
            case Allowed(facts):
                return facts, ()
            case Denied(code, why, facts, after):
                raise Refusal(code, why, facts=facts, after=after)
            case NeedsApproval(threshold, facts):
                return facts, self._approved_by(case, threshold, facts)

    def _approved_by(self, case: Case, threshold: Approval, facts: Facts) -> tuple[str, ...]:
        request, tbs_hash = case.request, case.asked.tbs_hash
        if self._memory.approved(request.key, tbs_hash):
            return ()
        kind = facts.get("kind", case.structure.kind)
        text = approval_text(case.key.name, kind, request.tbs, facts, request.context)
        wanted = Wanted(request.key, case.key.name, kind, request.tbs, text, threshold)
        return ask(self._approvals, wanted, facts)

    def _note_serials(self, case: Case, crl: TbsCertList) -> None:
        """Journal how the revoked serials differ from those of the last complete CRL."""
        if crl.base is not None:
            return
        key, scope = case.request.key, crl.scope
        changes = self._memory.changes(key, scope, crl.serials(), crl.lasting())
        for name, serials in (("added", changes.added), ("left", changes.left)):
            for some in _pieces(serials, SERIALS_PER_LINE):
                told = {name: [serial.hex() for serial in some]}
                self._journal.note("revoked", key=key.hex(), scope=scope, **told)

    def _use_key(self, decided: Sequence[_Decided]) -> Iterator[Sequence[Settled]]:
        key, algorithm = decided[0].case.key, decided[0].case.request.algorithm
        for some in _pieces(decided, key.at_once):
            ready, stale = self._still_wanted(some)
            if stale:
                yield stale
            for outcomes in key.sign_many(algorithm, [one.case.request.tbs for one in ready]):
                yield self._noted([(ready[one.place], one) for one in outcomes])

    def _still_wanted(self, decided: Sequence[_Decided]) -> tuple[list[_Decided], list[Settled]]:
        """Look again: the process may have been stopped since, and then this is stale work."""
        ready: list[_Decided] = []
        stale = []
        for one in decided:
            # What is in the journal as approved may be signed again without waiting.
            self._approvals.forget(one.case.asked.tbs_hash)
            try:
                check_life(one.case.request.expires, one.case.line, self._now())
                ready.append(one)
            except Refusal as refusal:
                stale.append(self._unused(one, refusal.code, refusal.why, refusal))
        return ready, stale

    def _noted(self, outcomes: Sequence[tuple[_Decided, Outcome]]) -> Sequence[Settled]:
        """Verify what a key gave, and note it."""
        settled: list[Settled] = []
        lines: list[dict[str, Field]] = []
        for one, outcome in outcomes:
            checked = self._checked(one, outcome)
            settled.append(checked)
            if checked.fault is None:
                digest = hashlib.sha256(checked.signature).hexdigest()
                lines.append({"of": checked.mark.index, "signature": digest})
        try:
            self._journal.note_all("signed", lines)
        except JournalFault as fault:
            return [_failed(one.request, one.fault or fault) for one in settled]
        return settled

    def _checked(self, one: _Decided, outcome: Outcome) -> Settled:
        case, request = one.case, one.case.request
        if outcome.fault is not None:
            code, why = outcome.fault.code, printable(str(outcome.fault), LONGEST_FACT)
            refusal = Refusal(code, why, facts={"of": str(one.mark.index)})
            return self._unused(one, code, why, refusal)
        try:
            verify(case.asked.public_key, request.algorithm, outcome.signature, request.tbs)
        except SignatureFaulty as error:
            _log.critical("%s gave a signature that does not hold: %s", case.key.name, error)
            refusal = Refusal("token-error", "the token's signature does not hold")
            return self._unused(one, "token-error", str(error), refusal)
        return Settled(request, outcome.signature, one.mark)

    def _unused(self, one: _Decided, code: str, why: str, fault: Refusal) -> Settled:
        """Journal that a key did not sign after all."""
        try:
            self._journal.note("failed", of=one.mark.index, code=code, why=why)
        except JournalFault as unwritten:
            return _failed(one.case.request, unwritten)
        return _failed(one.case.request, fault)


def _failed(request: Sign, fault: Exception) -> Settled:
    return Settled(request, b"", BEGINNING, fault)


def ask(approvals: Approvals, wanted: Wanted, facts: Facts) -> tuple[str, ...]:
    """Return who approved; see ``hsm_agent.approvals.approvals.Approvals.ask``.

    Raises:
        Refusal: not enough people have, or one declined.
    """
    try:
        return approvals.ask(wanted)
    except StillWaiting as waiting:
        approval = hashlib.sha256(wanted.octets).digest()
        raise Refusal("approval-needed", str(waiting), approval=approval, facts=facts) from waiting
    except Declined as declined:
        raise Refusal("policy", str(declined), facts=facts) from declined
    except TooManyWait as full:
        raise Refusal("busy", str(full), after=FULL_AFTER, facts=facts) from full


def _pieces(found: Sequence[_T], most: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(found), most):
        yield found[start : start + most]
