"""The service: every request is answered, and a key is used only as the last step."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hsm_agent.approvals.approvals import Approvals
from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.proofs import LOCAL
from hsm_agent.faults import NotThere
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import BEGINNING, Field
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.held_keys import HeldKey, Keyring
from hsm_agent.keys.provisioning import Provisioning
from hsm_agent.policy.policy import Policy
from hsm_agent.service.cases import LONGEST_FACT, facts_fields, request_fields
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal, RefusalLines
from hsm_agent.service.showing import printable
from hsm_agent.service.signing import Settled, Signing
from hsm_agent.stores.store import StoreError
from hsm_agent.wire.codec import encoded
from hsm_agent.wire.messages import (
    Approve,
    Done,
    Generate,
    JournalLines,
    JournalRead,
    Key,
    Message,
    PutCertificate,
    Refused,
    Sign,
    Signed,
)
from hsm_agent.wire.refusals import REFUSALS

MOST_LINES = 10_000
"""Lines of the journal in one answer, if they are short enough."""
JOURNAL_OCTETS = 1 << 20

Request = Sign | Generate | PutCertificate | Approve | JournalRead
Answer = Signed | Refused | Done | JournalLines

_log = logging.getLogger(__name__)


class Service:
    """Answers requests; any number of threads may ask at once, and nothing is ever raised."""

    def __init__(
        self,
        keyring: Keyring,
        policies: Callable[[], Policy],
        journal: Journal,
        memory: JournalMemory,
        approvals: Approvals,
        now: Callable[[], int],
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._memory = memory
        self._approvals = approvals
        self._now = now
        collaborators = (keyring, policies, journal, memory, approvals, now)
        self._signing = Signing(*collaborators)
        self._provisioning = Provisioning(*collaborators)
        self._refusals = RefusalLines(journal, now)

    def answer(self, request: Request, line: LineFacts) -> Answer:
        """Do what is asked, or say why not."""
        if isinstance(request, Sign):
            [answer] = [one for answers in self.sign([request], line) for one in answers]
            return answer
        digest = request_digest(request)
        try:
            with _as_refusals():
                return self._answer(request, digest, line)
        except Refusal as refusal:
            return self._refused(request, digest, line, refusal)
        finally:
            self._refusals.summarise()

    def sign(self, requests: Sequence[Sign], line: LineFacts) -> Iterator[Sequence[Answer]]:
        """Yield the answers to requests for one key and algorithm, as they come.

        The first ones, perhaps none, come when all is decided and journaled.
        """
        left = {request.id: request for request in requests}
        try:
            for settled in self._signing.sign(requests, line):
                for one in settled:
                    left.pop(one.request.id, None)
                yield [self._settled(one, line) for one in settled]
        except Exception as fault:  # noqa: BLE001 - the boundary of these requests
            settled = [Settled(request, b"", BEGINNING, fault) for request in left.values()]
            yield [self._settled(one, line) for one in settled]
        finally:
            self._refusals.summarise()

    def announce(self, key: HeldKey) -> Key:
        """Return what the server is told of a key: what the policy lets it do, and its state."""
        stored = key.stored
        key_hash = hashlib.sha256(stored.public_key).digest()
        profile = self._memory.profile(key_hash)
        rules = self._policies().rules(key.name, stored.public_key, profile)
        state, algorithms = stored.state, stored.algorithms
        if rules is None:
            state, algorithms = "no-policy", ()
        elif rules.algorithms:
            algorithms = tuple(one for one in algorithms if one in rules.algorithms)
        return Key(
            name=key.name,
            key_type=stored.key_type,
            public_key=stored.public_key,
            algorithms=algorithms,
            state=state,
            certificate=hashlib.sha256(key.certificates[0]).digest() if key.certificates else b"",
            attestation=stored.attestation,
            trial=key.trial,
            details=dict(stored.details),
        )

    def waiting(self) -> int:
        """Return how many requests are on their way to keys."""
        return self._signing.waiting()

    def close(self) -> None:
        """Journal what was only counted so far; call it before the journal is closed."""
        self._refusals.summarise(finally_=True)

    def _settled(self, settled: Settled, line: LineFacts) -> Answer:
        request, digest = settled.request, request_digest(settled.request)
        if settled.fault is None:
            return Signed(request.id, digest, settled.signature, settled.mark)
        try:
            with _as_refusals():
                raise settled.fault
        except Refusal as refusal:
            return self._refused(request, digest, line, refusal)

    def _answer(
        self,
        request: Generate | PutCertificate | Approve | JournalRead,
        digest: bytes,
        line: LineFacts,
    ) -> Answer:
        match request:
            case Generate():
                key = self.announce(self._provisioning.generate(request, line))
                return Done(request.id, digest, self._journal.mark(), (key,))
            case PutCertificate():
                self._provisioning.put_certificate(request, line)
            case Approve():
                self._approve(request)
            case JournalRead(first=first, last=last):
                lines = self._journal.lines(
                    first, min(last, first + MOST_LINES - 1), JOURNAL_OCTETS
                )
                return JournalLines(request.id, digest, tuple(lines), self._journal.mark())
        return Done(request.id, digest, self._journal.mark())

    def _approve(self, request: Approve) -> None:
        if self._now() > request.expires:
            raise Refusal("expired", "the request expired")
        if request.kind == LOCAL:
            raise Refusal("policy", "a local approval is given at the agent itself")
        self._approvals.add_proof(request.approval, request.kind, request.proof)

    def _refused(
        self, request: Request, digest: bytes, line: LineFacts, refusal: Refusal
    ) -> Refused:
        self._refusals.write(refusal, _refusal_fields(request, line, refusal))
        return Refused(
            id=request.id,
            request=digest,
            code=refusal.code,
            why=refusal.why.encode(errors="backslashreplace"),
            retry=REFUSALS[refusal.code],
            after=refusal.after,
            journal=self._journal.mark(),
            approval=refusal.approval,
        )


def request_digest(request: Message) -> bytes:
    """Return the SHA-256 of a message as it was encoded."""
    return hashlib.sha256(encoded(request)).digest()


@contextmanager
def _as_refusals() -> Iterator[None]:
    """Turn whatever a deed raises into an answer: the boundary of every request."""
    try:
        yield
    except Refusal:
        raise
    except StoreError as error:
        raise Refusal(error.code, str(error)) from error
    except JournalFault as error:
        raise Refusal("journal", str(error)) from error
    except ProofRefused as error:
        raise Refusal("policy", str(error)) from error
    except NotThere as error:
        raise Refusal("unknown-key", str(error)) from error
    except Exception as error:
        _log.exception("request failed")
        raise Refusal("token-error", "a fault inside the agent; its log says more") from error


def _refusal_fields(request: Request, line: LineFacts, refusal: Refusal) -> Mapping[str, Field]:
    fields: dict[str, Field] = {"asked": type(request).__name__.lower()}
    match request:
        case Sign():
            fields |= facts_fields(refusal.facts) | request_fields(request, line)
        case Generate():
            names = {"name": request.name, "profile": request.profile}
            fields |= {name: printable(value, LONGEST_FACT) for name, value in names.items()}
        case PutCertificate():
            fields["key"] = request.key.hex()
        case Approve():
            fields["tbs"] = request.approval.hex()
            fields["proof"] = printable(request.kind, LONGEST_FACT)
        case JournalRead():
            pass
    return fields | {"node": line.node, "way": line.way}
