"""Answering a bundle: frames that came in a file, under the same policy and journal as any."""

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_agent.journal.faults import JournalFault
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal
from hsm_agent.service.relaying import Journey, Relaying
from hsm_agent.wire.bundles import ANSWERS, BUNDLE_LIFE, REQUESTS, Bundle
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import frame_pin, is_frame_pin
from hsm_agent.wire.messages import Inventory

BY_HAND = Journey(BUNDLE_LIFE, BUNDLE_LIFE)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A frame of a bundle that got no answer: its place, counted from 1, and why."""

    place: int
    why: str


@dataclass(frozen=True, slots=True)
class Answered:
    """``octets`` is the bundle to carry back, with ``frames`` answers; the rest is told here."""

    octets: bytes
    frames: int
    unanswered: tuple[Unanswered, ...]


def answer_bundle(
    octets: bytes,
    agent: str,
    askers: Mapping[bytes, int],
    relaying: Relaying,
    inventory: Inventory | None = None,
) -> Answered:
    """Answer every frame of a bundle that is sound; damage to one refuses that one.

    Args:
        octets: the file.
        agent: this agent's name.
        askers: the numbers of the nodes that may ask, by the pins of their frame keys.
        relaying: answers frames.
        inventory: what the first answer tells besides.

    Raises:
        WireError: the file as a whole is no bundle for this agent.
    """
    bundle = Bundle.of(octets, REQUESTS)
    if bundle.agent != agent:
        raise WireError(f"this bundle is for {bundle.agent!r}; here is {agent!r}")
    answers: list[tuple[bytes, bytes]] = []
    unanswered: list[Unanswered] = []
    for place, (asking, frame) in enumerate(bundle.frames, 1):
        facts = LineFacts(_number(asking, askers), "offline", lambda: True)
        told = None if answers else inventory
        try:
            _check_asker(asking, askers)
            answer = relaying.answer_frame(asking, frame, facts, BY_HAND, told)
        except (WireError, JournalFault) as error:
            relaying.refuse(Refusal("malformed", f"frame {place} of a bundle: {error}"), facts)
            unanswered.append(Unanswered(place, str(error)))
        else:
            answers.append((asking, answer))
    carried = Bundle(ANSWERS, agent, tuple(answers))
    return Answered(carried.octets(), len(answers), tuple(unanswered))


def _number(asking: bytes, askers: Mapping[bytes, int]) -> int:
    """Return the number of the node with this frame key, 0 where there is none."""
    return askers.get(frame_pin(asking), 0) if is_frame_pin(asking) else 0


def _check_asker(asking: bytes, askers: Mapping[bytes, int]) -> None:
    if not is_frame_pin(asking) or frame_pin(asking) not in askers:
        raise WireError("no node that this agent knows asks here")
