"""One living line to one node: what comes is answered until the line ends."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from hsm_agent.channel.desk import Desk, refusal
from hsm_agent.channel.faults import Dismissed, Lost
from hsm_agent.channel.greeting import FramedLine
from hsm_agent.channel.jobs import Jobs
from hsm_agent.channel.lease import Lease
from hsm_agent.channel.outbox import Outbox
from hsm_agent.identity.nodes import is_proper
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.service import Request
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import (
    Drain,
    Enroll,
    Enrolled,
    Goodbye,
    Message,
    Node,
    Ping,
    Pong,
    Refused,
    Relay,
    Sign,
    Welcome,
)
from hsm_agent.wire.session import Delivery

SHORTEST_DEAD = 100
LONGEST_DEAD = 120_000
"""Milliseconds that a server may ask for; with less or more than this a line is of no use."""
CROWD = 8
"""So many unanswered requests are load: answers then wait for each other, to share a frame."""
GOODBYE_SECONDS = 1.0
QUIET_SECONDS = 1.0
"""How long a server that was told to ask for nothing may take to say that it heard it."""


class Line:
    """Greets the server, then serves it; `run` is the reading thread, and always ends raising."""

    def __init__(self, node: Node, framed: FramedLine, desk: Desk) -> None:
        self.node = node
        self.number = node.number
        self.draining = False
        self.answered = 0
        self.refused = 0
        self._framed = framed
        self._desk = desk
        self._lease: Lease | None = None
        self._outbox = Outbox(framed.send, lambda: self._waiting >= CROWD)
        self._jobs = Jobs(
            desk, facts=self._facts, give=self._give, refuse=self._refuse, count=self._count
        )
        self._open = True
        self._waiting = 0
        self._counting = threading.Condition()
        self._ended = threading.Event()
        self._enrolled = threading.Event()
        self._quiet = threading.Event()
        self._registering = False

    def greet(self) -> Welcome:
        """Say who we are and what we have, and return the server's answer.

        Raises:
            LineFault: it sends us away, or does not answer in time.
            WireError: it answers something else.
        """
        asked = self._desk.elapsed()
        self._framed.send(self._desk.hello())
        delivery = self._framed.receive()
        welcome, *others = delivery.messages
        if isinstance(welcome, Goodbye):
            raise Dismissed(welcome.code, welcome.why.decode(errors="replace"))
        if not isinstance(welcome, Welcome) or others:
            raise WireError("a first frame that is no welcome")
        if (
            welcome.version != self._framed.version
            or not SHORTEST_DEAD <= welcome.dead <= LONGEST_DEAD
        ):
            raise WireError("a welcome that this agent cannot follow")
        self._lease = Lease(welcome.dead, asked, delivery.sent, self._desk.elapsed)
        self._framed.stream.set_timeout(welcome.dead / 1000)
        self.number = welcome.node
        self._learn(welcome)
        return welcome

    def run(self) -> NoReturn:
        """Serve after `greet` until the line ends.

        Raises:
            LineFault: it is gone, or the server said goodbye.
            WireError: the server broke the protocol.
        """
        writer = threading.Thread(
            target=self._outbox.run, args=(self._framed.stream.abort,), name="writer", daemon=True
        )
        writer.start()
        while True:
            self._take_all(self._framed.receive())

    def end(self) -> None:
        """Let the connection go; what waits for it is dropped."""
        self._open = False
        self._outbox.close()
        self._framed.stream.close()
        self._quiet.set()
        self._ended.set()

    def send(self, message: Message) -> None:
        """Have a message sent; on a line that is gone it is dropped."""
        self._outbox.put(message)

    def register(self, enroll: Enroll, seconds: float) -> bool:
        """Have the server take new keys of this agent; return whether it said that it did."""
        self._registering = True
        self._outbox.put(enroll)
        return self._enrolled.wait(seconds)

    def drain(self) -> None:
        """Have the server ask for nothing new; what it asked before it heard is still answered."""
        self.draining = True
        self._outbox.put(Drain())

    def wait_quiet(self) -> None:
        """Wait for the server's word that nothing more comes, or until it has had its time."""
        if self.draining:
            self._quiet.wait(QUIET_SECONDS)
            self._quiet.set()

    def wait_answered(self, seconds: float) -> bool:
        """Wait until every request was answered; return whether it came to that."""
        with self._counting:
            return self._counting.wait_for(lambda: not self._waiting, seconds)

    def say_goodbye(self, code: str, why: str) -> None:
        """Send what waits and this last word, and let the server close the line, or else do so."""
        self._outbox.put(Goodbye(code, why.encode()))
        sent = self._outbox.wait_empty(GOODBYE_SECONDS)
        # A Pong after the last word would reset the connection, and the word with it.
        self._outbox.close()
        if sent:
            self._framed.stream.finish()
            self._ended.wait(GOODBYE_SECONDS)
        self._framed.stream.abort()

    def ping_age(self) -> int | None:
        """Return the age of the newest Ping in milliseconds, ``None`` before the first."""
        return None if self._lease is None else self._lease.age()

    def may_sign(self) -> bool:
        """Tell whether a key may be used for this line now."""
        return self._open and self._lease is not None and self._lease.may_sign()

    def _take_all(self, delivery: Delivery) -> None:
        """Take what one frame brought: its signatures last, but before the word that none come."""
        wanted: list[Sign] = []
        for message in delivery.messages:
            if isinstance(message, Sign) and not self._quiet.is_set():
                wanted.append(message)
                continue
            if isinstance(message, Drain):
                # Whoever waits for that word looks then whether anything is unanswered.
                self._jobs.take(wanted)
                wanted = []
            self._take(message, delivery.sent)
        self._jobs.take(wanted)

    def _take(self, message: Message, sent: int) -> None:
        match message:
            case Ping():
                self._renew(sent)
            case Welcome():
                self._learn(message)
            case Drain():
                if not self.draining:
                    self.drain()
                self._quiet.set()
            case Goodbye(code, why):
                raise Dismissed(code, why.decode(errors="replace"))
            case Enrolled() if self._registering:
                self._enrolled.set()
            case _ if isinstance(message, Request | Relay):
                self._take_request(message)
            case _:
                raise WireError(f"a {type(message).__name__}, which no server sends")

    def _renew(self, sent: int) -> None:
        lease = self._lease
        if lease is None or not lease.renew(sent):
            raise Lost("what comes is old: this agent was stopped, or the line stood still")
        self._outbox.put(Pong(sent, self._waiting, self._desk.mark()))

    def _learn(self, welcome: Welcome) -> None:
        if not is_proper(welcome.nodes):
            raise WireError("a welcome without proper nodes")
        self._desk.learned(welcome.nodes)

    def _take_request(self, request: Request | Relay) -> None:
        if self._quiet.is_set():
            self._refuse(request, "draining", "the agent is about to stop")
        elif not self._hand_over(partial(self._answer, request)):
            self._refuse(request, "busy", "too many requests wait")

    def _refuse(self, request: Request | Relay, code: str, why: str) -> None:
        self.refused += 1
        self._outbox.put(refusal(request, code, why, self._desk.mark()))

    def _hand_over(self, job: Callable[[], None]) -> bool:
        self._count(1)
        taken = self._desk.workers.submit(partial(self._work, job))
        if not taken:
            self._count(-1)
        return taken

    def _work(self, job: Callable[[], None]) -> None:
        try:
            # What a line that is gone asked for is dropped: the server has gone elsewhere.
            if self._open:
                job()
        finally:
            self._count(-1)

    def _count(self, requests: int) -> None:
        with self._counting:
            self._waiting += requests
            self._counting.notify_all()

    def _facts(self) -> LineFacts | None:
        """Return what is known of this line, ``None`` when nobody waits for answers any more."""
        return LineFacts(self.number, "line", self.may_sign) if self._open else None

    def _answer(self, request: Request | Relay) -> None:
        facts = LineFacts(self.number, "line", self.may_sign)
        if isinstance(request, Relay):
            self._give([self._desk.relayed(request, facts)])
        else:
            self._give([self._desk.answer(request, facts)])

    def _give(self, answers: Sequence[Message]) -> None:
        refused = sum(isinstance(answer, Refused) for answer in answers)
        with self._counting:
            self.refused += refused
            self.answered += len(answers) - refused
        self._outbox.send(*answers)
