"""One living line to one agent: requests out, answers in, each matched with its question."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import TypeAlias

from hsm_agent.wire.codec import encoded
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import Frame, receive_octets, with_length
from hsm_agent.wire.messages import (
    Approve,
    Done,
    Drain,
    Enroll,
    Generate,
    Goodbye,
    Hello,
    Inventory,
    JournalLines,
    JournalRead,
    Key,
    Mark,
    Message,
    Ping,
    Pong,
    PutCertificate,
    Refused,
    Relay,
    Relayed,
    Sign,
    Signed,
)
from hsm_agent.wire.session import Session
from pikaserver_agents.crowd import Crowd
from pikaserver_agents.outbox import Outbox
from pikaserver_agents.peers import Peer
from pikaserver_agents.printing import printable
from pikaserver_agents.structures import sha256
from pikaserver_agents.tls_stream import LineBroken, TlsStream

Request: TypeAlias = Sign | Generate | PutCertificate | Approve | JournalRead
Answer: TypeAlias = Signed | Refused | Done | JournalLines


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer will come by this way, and whether the agent has done it is not known."""

    why: str


Outcome: TypeAlias = Answer | Lost
Inbox: TypeAlias = "SimpleQueue[Outcome]"
TakeRelayed: TypeAlias = Callable[[Relayed | Refused | None], None]

FRAME_SECONDS = 60.0
"""How long a frame may take; one with a sign of life is due much sooner."""
GOODBYE_SECONDS = 1.0


class WrongAnswer(WireError):
    """The agent answers something else than it was asked."""


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Who is told what an agent says unasked; all are called by the line's reading thread."""

    inventory: Callable[[Inventory], None]
    mark: Callable[[Mark], None]
    enroll: Callable[[Enroll], None]


def request_hash(request: Request) -> bytes:
    """Return the hash by which an answer says what it answers."""
    return sha256(encoded(request))


class Line:
    """Reads in the thread that calls `run`, writes in one of its own.

    ``peer`` says how the agent speaks; ``draining`` was said by it, ``held`` by an operator here;
    ``in_flight`` and ``ready`` are kept by `pikaserver_agents.lines.Lines`.
    """

    def __init__(self, agent: str, stream: TlsStream, session: Session, hello: Hello) -> None:
        self.agent = agent
        self.hello = hello
        self.peer = Peer()
        self.window = max(1, hello.window)
        self.keys: Mapping[bytes, Key] = keys_of(hello)
        self.ready = False
        self.draining = False
        self.held = False
        self.in_flight = 0
        self.why = ""
        self._stream = stream
        self._session = session
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._asked: dict[bytes, tuple[bytes, Inbox]] = {}
        self._outbox = Outbox(Crowd(self._asked, monotonic))
        self._relayed: dict[bytes, TakeRelayed] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the line is gone, or going."""
        return self._closed

    def silence(self) -> float:
        """Return for how many seconds nothing came."""
        return monotonic() - self._stream.heard

    def can_sign(self, spki_hash: bytes) -> bool:
        """Tell whether the agent may be asked to use a key now."""
        if not self.ready or self.draining or self.held or self._closed:
            return False
        found = self.keys.get(spki_hash)
        return found is not None and found.state == "ready"

    def ask(self, request: Request) -> Inbox:
        """Send a request; its outcome arrives in the inbox that is returned."""
        inbox: Inbox = SimpleQueue()
        known = False
        with self._lock:
            if not self._closed:
                self._asked[request.id] = (request_hash(request), inbox)
                known = True
        if known:
            self._send_soon(request)
        else:
            inbox.put(Lost(self.why))
        return inbox

    def _send_soon(self, request: Request) -> None:
        """Send a request without waking anybody, if nothing else is to be sent now."""
        if self._outbox.is_idle() and self._sending.acquire(blocking=False):
            try:
                self._send([request])
            finally:
                self._sending.release()
        else:
            self._outbox.put(request)

    def _send(self, batch: Sequence[Message]) -> None:
        try:
            self._stream.send(with_length(self._session.seal(batch).octets()))
        except (LineBroken, WireError) as error:
            self.cut(str(error))

    def forget(self, request_id: bytes) -> None:
        """Let an answer that comes after all be ignored."""
        with self._lock:
            self._asked.pop(request_id, None)

    def relay(self, message: Relay, take: TakeRelayed) -> None:
        """Send another node's frame; ``take`` gets the answering one, a refusal, or ``None``."""
        with self._lock:
            if not self._closed:
                self._relayed[message.id] = take
                self._outbox.put(message)
                return
        take(None)

    def say(self, *messages: Message) -> None:
        """Send messages that have no answer."""
        self._outbox.put(*messages)

    def ping(self) -> None:
        """Renew the agent's right to sign for this line."""
        self._outbox.put(Ping())

    def dismiss(self, code: str, why: str) -> None:
        """Say goodbye and end the line; what was asked is lost."""
        self._end(why)
        self._outbox.put(Goodbye(code, why.encode()))
        self._outbox.close()
        last = threading.Timer(GOODBYE_SECONDS, self._stream.abort)
        last.daemon = True
        last.start()

    def cut(self, why: str) -> None:
        """End the line at once."""
        self._end(why)
        self._outbox.close()
        self._stream.abort()

    def run(self, events: LineEvents) -> None:
        """Serve the line until it ends, and always end raising.

        Raises:
            LineBroken: it is gone.
            WireError: the agent broke the protocol.
        """
        writer = threading.Thread(target=self._write, name=f"agent-{self.agent}-out", daemon=True)
        writer.start()
        try:
            while True:
                self._take_frame(events)
        except LineBroken as error:
            was_closed = self._closed
            self._end(str(error))
            if was_closed:  # the reason is not that the socket closed then
                raise LineBroken(self.why) from error
            raise
        except WireError as error:
            self._end(str(error))
            self._outbox.put(Goodbye("protocol", str(error).encode()))
            raise
        finally:
            self._outbox.close()
            writer.join(GOODBYE_SECONDS)
            self._stream.abort()
            writer.join()
            self._stream.close()

    def _take_frame(self, events: LineEvents) -> None:
        self._stream.until = monotonic() + FRAME_SECONDS
        frame = Frame.of(receive_octets(self._stream.receive))
        newest: Mark | None = None
        for message in self._session.open(frame).messages:
            if isinstance(message, Answer):
                self._answer(message)
                if newest is None or message.journal.index > newest.index:
                    newest = message.journal
            else:
                self._take(message, events)
        if newest is not None:
            events.mark(newest)

    def _write(self) -> None:
        while batch := self._outbox.next_batch():
            with self._sending:
                self._send(batch)

    def _take(self, message: Message, events: LineEvents) -> None:
        match message:
            case Pong():
                events.mark(message.journal)
            case Inventory():
                events.inventory(message)
                self.keys = keys_of(message)
            case Relayed():
                with self._lock:
                    take = self._relayed.pop(message.id, None)
                if take is not None:
                    take(message)
            case Drain():
                self.draining = True
                self._outbox.put(Drain())
            case Enroll():
                events.enroll(message)
            case Goodbye(code, why):
                raise LineBroken(f"the agent said {printable(code)}: {printable(why)}")
            case _:
                raise WireError(f"a {type(message).__name__}, which no agent sends")

    def _answer(self, answer: Answer) -> None:
        with self._lock:
            asked = self._asked.get(answer.id)
            take = self._relayed.pop(answer.id, None)
        if take is not None and isinstance(answer, Refused):
            take(answer)
        if asked is None:
            return  # nobody waits any more
        expected, inbox = asked
        if answer.request != expected:
            raise WrongAnswer("an answer to another request")
        self.forget(answer.id)
        if isinstance(answer, Done):
            self.keys = {**self.keys, **keys_of(answer)}
        inbox.put(answer)

    def _end(self, why: str) -> None:
        """Tell everybody who waits; only the first reason counts."""
        with self._lock:
            if self._closed:
                return
            self._closed, self.why = True, why
            asked, self._asked = self._asked, {}
            relayed, self._relayed = self._relayed, {}
        for _, inbox in asked.values():
            inbox.put(Lost(why))
        for take in relayed.values():
            take(None)


def keys_of(message: Hello | Inventory | Done) -> Mapping[bytes, Key]:
    """Return what an agent announces by the hashes of the public keys."""
    return {hashlib.sha256(key.public_key).digest(): key for key in message.keys}
