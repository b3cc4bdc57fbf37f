"""Signatures: which agent is asked, what its answer means, and who is asked next."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty
from time import monotonic

from hsm_agent.wire.frames import LARGEST_FRAME
from hsm_agent.wire.messages import Context, Refused, Sign, Signed
from pikaserver.api.errors import (
    KeyUnavailable,
    PikaserverError,
    RequestRejected,
    SignatureFaulty,
)
from pikaserver.api.server import Server
from pikaserver.asn1.algorithms import verify
from pikaserver_agents.directory import Directory
from pikaserver_agents.ledger import LATE, LOST, Asked, Ledger
from pikaserver_agents.line import Line, Lost, Outcome
from pikaserver_agents.lines import Lines, Rank, Wish
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.offline_post import OfflinePost
from pikaserver_agents.references import FoundKey
from pikaserver_agents.refusing import APPROVAL_NEEDED, BUSY, as_error
from pikaserver_agents.relay_post import RelayPost
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.agents import AgentRow
from pikaserver_agents.structures import CRL
from pikaserver_agents.whereabouts import Whereabouts

REQUEST_ID_OCTETS = 16
LARGEST_TBS = LARGEST_FRAME - 64 * 1024
"""Octets of one structure; the rest of a frame is for what stands around it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One signature that is wanted: the same octets, whichever agent gives it."""

    key: FoundKey
    algorithm: str
    tbs: bytes
    content: bytes
    authority: str
    purpose: str
    tbs_hash: bytes
    only: str = ""
    """The one agent that is asked, where a person wants to know about it."""


@dataclass(slots=True)
class _Tries:
    """How far one request is: who was tried, who was too busy, and what went wrong last."""

    until: float
    tried: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    wait: float = 0.0
    error: PikaserverError | None = None

    def left(self) -> float:
        return max(0.0, self.until - monotonic())


@dataclass(frozen=True, slots=True)
class Posts:
    """The ways to agents that this process has no line to."""

    relay: RelayPost
    offline: OfflinePost


class Dispatcher:
    """Gets signatures from agents; any number of threads may ask, and none holds up another."""

    def __init__(
        self,
        server: Server,
        directory: Directory,
        lines: Lines,
        posts: Posts,
        whereabouts: Whereabouts,
        ledger: Ledger,
    ) -> None:
        settings = server.settings(AgentSettings)
        self._deadline = settings.deadline
        self._shared = settings.several == "shared"
        self._now = milliseconds(server.clock)
        self._entropy = server.entropy
        self._directory = directory
        self._lines = lines
        self._posts = posts
        self._whereabouts = whereabouts
        self._ledger = ledger

    def sign(self, wanted: Wanted) -> bytes:
        """Return a signature that verifies.

        Raises:
            KeyUnavailable: no agent can sign now; `SignaturePending` where one does so later.
            RequestRejected: an agent's policy refuses it, which is final.
            SignatureFaulty: what came back does not verify.
        """
        if len(wanted.tbs) + len(wanted.content) > LARGEST_TBS:
            raise RequestRejected(f"{len(wanted.tbs)} octets are too many for one frame")
        tries = _Tries(monotonic() + self._deadline)
        if wanted.only:
            tries.tried = {*self._directory.view().agents} - {wanted.only}
        while True:
            for signature in self._attempts(wanted, tries):
                if signature is not None:
                    return signature
            if not tries.busy or tries.left() < tries.wait:
                break
            time.sleep(tries.wait)
            tries.tried -= tries.busy
            tries.busy.clear()
        raise tries.error or KeyUnavailable(self._whereabouts.explain(wanted.key))

    def _attempts(self, wanted: Wanted, tries: _Tries) -> Iterator[bytes | None]:
        """Ask one agent after the other: those on a line here, on other lines, without any."""
        rank = self._rank(wanted)
        while line := self._lines.take(
            Wish(wanted.key.spki_hash, rank, frozenset(tries.tried), tries.until)
        ):
            yield self._by_line(line, wanted, tries)
        others = sorted(self._whereabouts.elsewhere(wanted.key.rows), key=lambda a: rank(a.name))
        for agent in others:
            if agent.name not in tries.tried:
                yield self._by_relay(agent, wanted, tries)
        for name in self._whereabouts.by_hand(wanted.key.rows):
            if name not in tries.tried:
                yield self._by_hand(name, wanted, tries)

    def _rank(self, wanted: Wanted) -> Rank:
        """Prefer who has these octets already, then the agent that the reference names.

        CRLs stay with one agent, because each compares them with the one before; the rest
        is shared among equals where the settings say so.
        """
        waiting = self._directory.view().approvals.get(wanted.tbs_hash)
        first = waiting.agent if waiting is not None else wanted.key.agent
        if self._shared and waiting is None and wanted.purpose != CRL:
            return _equally
        return lambda agent: (agent != first, agent)

    def _by_line(self, line: Line, wanted: Wanted, tries: _Tries) -> bytes | None:
        request = self._request(wanted, tries)
        try:
            inbox = line.ask(request)
            outcome: Outcome | None = inbox.get(timeout=tries.left())
        except Empty:
            line.forget(request.id)
            outcome = None
        finally:
            self._lines.release(line)
        return self._judge(Asked(line.agent, request, *_told(wanted)), outcome, wanted, tries)

    def _by_relay(self, agent: AgentRow, wanted: Wanted, tries: _Tries) -> bytes | None:
        request = self._request(wanted, tries)
        asked = Asked(agent.name, request, *_told(wanted))
        try:
            outcome = self._posts.relay.ask(agent, request, tries.until)
        except KeyUnavailable as error:
            tries.tried.add(agent.name)
            tries.error = error
            return None
        return self._judge(asked, outcome, wanted, tries)

    def _by_hand(self, agent: str, wanted: Wanted, tries: _Tries) -> bytes | None:
        request = self._request(wanted, tries)
        outcome = self._posts.offline.ask(agent, request)
        return self._judge(Asked(agent, request, *_told(wanted)), outcome, wanted, tries)

    def _request(self, wanted: Wanted, tries: _Tries) -> Sign:
        return Sign(
            id=self._entropy(REQUEST_ID_OCTETS),
            key=wanted.key.spki_hash,
            algorithm=wanted.algorithm,
            tbs=wanted.tbs,
            expires=self._now() + int(tries.left() * 1000),
            context=Context(authority=wanted.authority, purpose=wanted.purpose),
            content=wanted.content,
        )

    def _judge(
        self, asked: Asked, outcome: Outcome | None, wanted: Wanted, tries: _Tries
    ) -> bytes | None:
        """Return the signature, or ``None`` where the next agent is to be asked.

        Raises:
            PikaserverError: the answer is final, or nobody else can be asked in time.
        """
        match outcome:
            case Signed():
                return self._checked(asked, outcome, wanted, tries)
            case Refused():
                self._refused(asked, outcome, tries)
            case Lost(why):
                self._ledger.unanswered(asked, LOST, why)
                self._ledger.failed_over()
                tries.tried.add(asked.agent)
                tries.error = KeyUnavailable(f"agent {asked.agent} went away: {why}")
            case _:
                self._ledger.unanswered(asked, LATE, "the deadline is over")
                raise KeyUnavailable(
                    f"agent {asked.agent} did not answer within {self._deadline} s"
                )
        return None

    def _checked(self, asked: Asked, answer: Signed, wanted: Wanted, tries: _Tries) -> bytes | None:
        try:
            verify(wanted.key.public_key, wanted.algorithm, answer.signature, wanted.tbs)
        except SignatureFaulty as fault:
            self._ledger.faulty(asked, answer.journal)
            tries.tried.add(asked.agent)
            tries.error = fault
            return None
        took = self._deadline - tries.left()
        self._ledger.signed(asked, answer.journal, took)
        return answer.signature

    def _refused(self, asked: Asked, refused: Refused, tries: _Tries) -> None:
        self._ledger.refused(asked, refused)
        error = as_error(asked.agent, refused)
        if refused.code == APPROVAL_NEEDED:
            self._ledger.waits(asked, refused)
            raise error
        if not refused.retry:
            raise error
        tries.tried.add(asked.agent)
        tries.error = error
        if refused.code == BUSY:
            tries.busy.add(asked.agent)
            tries.wait = max(refused.after, 50) / 1000
        else:
            self._ledger.failed_over()


def _equally(_agent: str) -> tuple[bool, str]:
    return False, ""


def _told(wanted: Wanted) -> tuple[bytes, str]:
    return wanted.tbs_hash, wanted.purpose
