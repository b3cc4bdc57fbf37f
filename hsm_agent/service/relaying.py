"""Frames of nodes and people that have no line here: by another node's line, or in a file.

Such a frame belongs to the one session of its asking key and ours, for ever: each of its numbers
counts once, also after a restart, because the number is journaled before anything is answered.
The frame that answers has the number of the one that asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hsm_agent.identity.identity import Identity, frame_verifier
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal, RefusalLines
from hsm_agent.service.service import Answer, Request, request_digest
from hsm_agent.wire.errors import FrameLate, WireError
from hsm_agent.wire.frame_kinds import frame_pin
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import Inventory, Message, Node, Refused, Relay, Relayed
from hsm_agent.wire.refusals import REFUSALS
from hsm_agent.wire.session import CLOCK_TOLERANCE, FRAME_LIFE, read, relay_session_id, seal


@dataclass(frozen=True, slots=True)
class Journey:
    """How old a frame may be that comes, and how long its answer lives, in milliseconds."""

    tolerance: int = CLOCK_TOLERANCE
    life: int = FRAME_LIFE


BY_LINE = Journey()


class Relaying:
    """Answers relayed frames; any thread may ask."""

    def __init__(
        self,
        identity: Identity,
        nodes: Callable[[], Sequence[Node]],
        answer: Callable[[Request, LineFacts], Answer],
        journal: Journal,
        memory: JournalMemory,
        now: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._nodes = nodes
        self._answer = answer
        self._journal = journal
        self._memory = memory
        self._now = now
        self._refusals = RefusalLines(journal, now)

    def answer(self, relay: Relay, line: LineFacts) -> Relayed | Refused:
        """Answer the frame of a node that has no line here; ``line`` is the one that brought it.

        What cannot be believed, or came before, is refused to whoever brought it.
        """
        facts = LineFacts(relay.node, "relay", line.may_sign)
        try:
            return Relayed(relay.id, self.answer_frame(self._frame_key(relay), relay.frame, facts))
        except FrameLate as error:
            refusal = Refusal("expired", str(error))
        except WireError as error:
            refusal = Refusal("malformed", str(error))
        except JournalFault as error:
            refusal = Refusal("journal", str(error))
        return self._refused(relay, facts, refusal)

    def answer_frame(
        self,
        asking: bytes,
        octets: bytes,
        facts: LineFacts,
        journey: Journey = BY_LINE,
        inventory: Inventory | None = None,
    ) -> bytes:
        """Return the frame that answers.

        Args:
            asking: the frame key of who asks; whether it may is known already.
            octets: the frame.
            facts: by which way it came.
            journey: how long it may have been on its way.
            inventory: what the answer tells besides.

        Raises:
            WireError: it is altered, came before, is too old, or holds something else.
            JournalFault: its number could not be journaled; nothing was answered.
        """
        frame = Frame.of(octets)
        frame_verifier(asking)(SIGNATURE_LABEL + frame.payload, frame.signature)
        session = relay_session_id(asking, self._identity.frame_public)
        sequence, delivery = read(frame, session, self._now(), journey.tolerance)
        requests = [one for one in delivery.messages if isinstance(one, Request)]
        if len(requests) != len(delivery.messages):
            raise WireError("a relayed frame holds requests and nothing else")
        pin = frame_pin(asking)
        if not self._memory.take_sequence(pin, sequence):
            raise WireError(f"relayed frame {sequence} came before, or far too late")
        self._journal.append(
            "relay", asking=pin.hex(), sequence=sequence, node=facts.node, way=facts.way
        )
        answers: list[Message] = [self._answer(request, facts) for request in requests]
        if inventory is not None:
            answers.append(inventory)
        sign = self._identity.sign
        return seal(session, sequence, self._now(), answers, sign, journey.life).octets()

    def refuse(self, refusal: Refusal, facts: LineFacts) -> None:
        """Journal that a frame got no answer."""
        self._refusals.write(refusal, {"asked": "relay", "node": facts.node, "way": facts.way})
        self._refusals.summarise()

    def _frame_key(self, relay: Relay) -> bytes:
        for node in self._nodes():
            if node.number == relay.node:
                return node.frame_key
        raise WireError(f"node {relay.node} is none that this agent knows")

    def _refused(self, relay: Relay, facts: LineFacts, refusal: Refusal) -> Refused:
        self.refuse(refusal, facts)
        return Refused(
            id=relay.id,
            request=request_digest(relay),
            code=refusal.code,
            why=refusal.why.encode(errors="backslashreplace"),
            retry=REFUSALS[refusal.code],
            after=0,
            journal=self._journal.mark(),
        )
