"""One signature, step by step: nothing uses a key before its line is on disk."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from hsm_agent.approvals.approvals import Approvals, Wanted
from hsm_agent.approvals.faults import Declined, StillWaiting, TooManyWait
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import Field
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.held_keys import HeldKey, Keyring
from hsm_agent.policy.decide import decide
from hsm_agent.policy.policy import Policy
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.verdicts import Allowed, Approval, Asked, Denied, Facts, NeedsApproval
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal
from hsm_agent.service.showing import approval_text, printable, reasons
from hsm_agent.service.verification import SignatureFaulty, verify
from hsm_agent.service.windows import Windows
from hsm_agent.stores.store import StoreError
from hsm_agent.structures.classify import Malformed, Structure, classify
from hsm_agent.structures.crl import TbsCertList
from hsm_agent.wire.messages import Mark, Sign

SERIALS_PER_LINE = 1000
LONGEST_FACT = 900
"""Characters of one fact in the journal; the server has the octets."""
FULL_AFTER = 60_000
"""Milliseconds after which there may be room for one more to wait for approval."""
_STATES = {
    "absent": "token-absent",
    "pin-needed": "pin-needed",
    "pin-locked": "pin-locked",
    "no-policy": "policy",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Case:
    """One request, read and looked up."""

    request: Sign
    line: LineFacts
    key: HeldKey
    rules: KeyRules
    structure: Structure
    asked: Asked


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
        self._keyring = keyring
        self._policies = policies
        self._journal = journal
        self._memory = memory
        self._approvals = approvals
        self._now = now
        self._windows = Windows(now)

    def waiting(self) -> int:
        """Return how many requests are on their way to keys."""
        return self._windows.waiting()

    def sign(self, request: Sign, line: LineFacts) -> tuple[bytes, Mark]:
        """Return the signature, and the mark of its line in the journal.

        Raises:
            Refusal: nothing was signed, or nothing that may leave the agent.
            JournalFault: the journal cannot be written, and nothing was signed.
        """
        check_life(request.expires, line, self._now())
        case = self._look_up(request, line)
        with ExitStack() as held:
            mark = self._decide(case, held)
            # What is in the journal as approved may be signed again without waiting.
            self._approvals.forget(case.asked.tbs_hash)
            signature = self._use_key(case, mark)
        self._journal.note("signed", of=mark.index, signature=hashlib.sha256(signature).hexdigest())
        return signature, mark

    def _look_up(self, request: Sign, line: LineFacts) -> _Case:
        key = self._keyring.find(request.key)
        if key is None:
            raise Refusal("unknown-key", "no key of that hash is here")
        if key.stored.state != "ready":
            code = _STATES.get(key.stored.state, "token-error")
            raise Refusal(code, f"{key.name} is {key.stored.state}")
        profile = self._memory.profile(request.key)
        rules = self._policies().rules(key.name, key.stored.public_key, profile)
        if rules is None:
            raise Refusal("policy", f"no rules of the policy are for {key.name}")
        if request.algorithm not in key.stored.algorithms:
            raise Refusal("unsupported", f"{key.name} does not sign with {request.algorithm}")
        try:
            structure = classify(request.tbs, request.content)
        except Malformed as error:
            raise Refusal("malformed", str(error)) from error
        certificates = key.certificates
        asked = Asked(
            key=request.key,
            public_key=key.stored.public_key,
            algorithm=request.algorithm,
            tbs_hash=hashlib.sha256(request.tbs).digest(),
            issuer=certificates[0] if certificates else None,
            now=datetime.fromtimestamp(self._now() / 1000, UTC),
            above=certificates[1] if len(certificates) > 1 else None,
        )
        return _Case(request, line, key, rules, structure, asked)

    def _decide(self, case: _Case, held: ExitStack) -> Mark:
        """Decide and journal; from then on a place on the way to the key is held."""
        with self._memory.deciding(case.request.key):
            facts, approved_by = self._verdict(case)
            held.enter_context(self._windows.place(case.key.name, case.rules.window))
            fields = _line_fields(case, facts, approved_by)
            if isinstance(case.structure, TbsCertList):
                # CRLs are compared with the one before: no other may be decided meanwhile.
                self._note_serials(case, case.structure)
                return self._journal.append("sign", **fields)
            use = self._memory.reserve({**fields, "ts": self._now()})
        try:
            return self._journal.append("sign", **fields)
        finally:
            self._memory.release(use)

    def _verdict(self, case: _Case) -> tuple[Facts, tuple[str, ...]]:
        """Return what the structure says, and who approved it where somebody had to."""
        match decide(case.rules, case.structure, case.asked, self._memory):
            case Allowed(facts):
                return facts, ()
            case Denied(code, why, facts, after):
                raise Refusal(code, why, facts=facts, after=after)
            case NeedsApproval(threshold, facts):
                return facts, self._approved_by(case, threshold, facts)

    def _approved_by(self, case: _Case, threshold: Approval, facts: Facts) -> tuple[str, ...]:
        request, tbs_hash = case.request, case.asked.tbs_hash
        if self._memory.approved(request.key, tbs_hash):
            return ()
        kind = facts.get("kind", case.structure.kind)
        text = approval_text(case.key.name, kind, request.tbs, facts, request.context)
        wanted = Wanted(request.key, case.key.name, kind, request.tbs, text, threshold)
        return ask(self._approvals, wanted, facts)

    def _note_serials(self, case: _Case, crl: TbsCertList) -> None:
        """Journal how the revoked serials differ from those of the last complete CRL."""
        if crl.base is not None:
            return
        key, scope = case.request.key, crl.scope
        changes = self._memory.changes(key, scope, crl.serials(), crl.lasting())
        for name, serials in (("added", changes.added), ("left", changes.left)):
            for some in _pieces(serials, SERIALS_PER_LINE):
                told = {name: [serial.hex() for serial in some]}
                self._journal.note("revoked", key=key.hex(), scope=scope, **told)

    def _use_key(self, case: _Case, mark: Mark) -> bytes:
        request = case.request
        try:
            # The process may have been stopped since it looked last: then this is stale work.
            check_life(request.expires, case.line, self._now())
            signature = case.key.sign(request.algorithm, request.tbs)
            verify(case.asked.public_key, request.algorithm, signature, request.tbs)
        except Refusal as refusal:
            self._journal.note("failed", of=mark.index, code=refusal.code, why=refusal.why)
            raise
        except StoreError as error:
            why = printable(str(error), LONGEST_FACT)
            self._journal.note("failed", of=mark.index, code=error.code, why=why)
            raise Refusal(error.code, why, facts={"of": str(mark.index)}) from error
        except SignatureFaulty as error:
            _log.critical("%s gave a signature that does not hold: %s", case.key.name, error)
            self._journal.note("failed", of=mark.index, code="token-error", why=str(error))
            raise Refusal("token-error", "the token's signature does not hold") from error
        return signature


def check_life(expires: int, line: LineFacts, now: int) -> None:
    """Return when a request may still be worked on; ``expires`` is milliseconds since 1970.

    Raises:
        Refusal: ``expired``; another agent may have answered it meanwhile.
    """
    if now > expires:
        raise Refusal("expired", f"the request expired {now - expires} ms ago")
    if not line.may_sign():
        raise Refusal("expired", "the line has been silent for too long")


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


def request_fields(request: Sign, line: LineFacts) -> dict[str, Field]:
    """Return what the journal says of any request to sign, allowed or not."""
    return {
        **{
            name: printable(value, LONGEST_FACT) for name, value in reasons(request.context).items()
        },
        "alg": request.algorithm,
        "key": request.key.hex(),
        "node": line.node,
        "tbs": hashlib.sha256(request.tbs).hexdigest(),
        "way": line.way,
    }


def facts_fields(facts: Facts) -> dict[str, Field]:
    """Return facts as the journal holds them."""
    return {name: printable(value, LONGEST_FACT) for name, value in facts.items()}


def _line_fields(case: _Case, facts: Facts, approved_by: Iterable[str]) -> dict[str, Field]:
    fields: dict[str, Field] = {
        "kind": case.structure.kind,
        **facts_fields(facts),
        **request_fields(case.request, case.line),
        "name": case.key.name,
    }
    names = sorted(approved_by)
    return {**fields, "approved-by": names} if names else fields


def _pieces(serials: Sequence[bytes], most: int) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(serials), most):
        yield serials[start : start + most]
