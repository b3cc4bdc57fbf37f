"""A signing agent in this process, with software keys: for tests of whoever signs through one.

It speaks the real protocol over a real line, keeps a journal, and signs whatever it is asked, for
it has no policy.  It can be told to be silent, to lie, to be late and to die::

    agent = FakeAgent("vault-a")
    agent.enroll(code)            # what 'pikaserver agent enroll vault-a -o json' printed
    agent.desk.make_key("issuing")
    agent.connect()
    ...
    agent.close()

``tamper`` sees every answer before it is sent and returns what is sent instead: something else,
or ``None`` for nothing at all.  ``pikaserver.testing.fake_agent_lies`` has some ready.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import NONCE_OCTETS
from hsm_agent.wire.messages import (
    PROTOCOL,
    Drain,
    Enroll,
    Enrolled,
    Generate,
    Goodbye,
    Hello,
    Inventory,
    Message,
    Node,
    Ping,
    Pong,
    PutCertificate,
    Relay,
    Sign,
    Welcome,
)
from hsm_agent.wire.session import MOST_MESSAGES
from pikaserver.api.operations import Clock
from pikaserver.clock import system_clock
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_agent_desk import Answer, FakeDesk, Request
from pikaserver.testing.fake_agent_line import FakeIdentity, FakeLine, LineEnded
from pikaserver.testing.fake_agent_relay import FakeRelay

SOFTWARE = "fake-agent 1"
POLICY = bytes(32)
WINDOW = 64

Tamper = Callable[[Request, Answer], Message | None]


class Dismissed(Exception):
    """The server said goodbye; ``code`` is its word for it."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


class FakeAgent:
    """One agent; it may have a line to several nodes at once."""

    def __init__(
        self, name: str, *, clock: Clock = system_clock, identity: FakeIdentity | None = None
    ) -> None:
        self.name = name
        self.identity = identity or FakeIdentity.make(name, clock)
        self.now_ms = lambda: int(clock().timestamp() * 1000)
        self.desk = FakeDesk(self.now_ms)
        self.nodes: tuple[Node, ...] = ()
        self.asked: list[Message] = []
        self.window = WINDOW
        self.tamper: Tamper = lambda _request, answer: answer
        self.ended: list[str] = []
        self.late_ones = 0
        self._going = threading.Event()
        self._going.set()
        self._entropy = CountedEntropy(name)
        self._lines: dict[int, tuple[FakeLine, threading.Thread]] = {}
        self._seen: set[tuple[bytes, int]] = set()

    def enroll(self, text: str) -> None:
        """Register with a code.

        Raises:
            Dismissed: the server refuses.
        """
        code = EnrollmentCode.read(text)
        self.nodes = tuple(
            Node(0, *one) for one in zip(code.addresses, code.pins, code.frame_keys, strict=True)
        )
        line = FakeLine(self.nodes[0], self.identity, self.now_ms, known=False)
        try:
            line.exchange_nonces(self._entropy(NONCE_OCTETS))
            line.send(self.enrollment(code.token))
            match line.receive().messages:
                case (Enrolled(nodes=nodes),):
                    self.nodes = nodes
                case (Goodbye(code=word, why=why),):
                    raise Dismissed(word, why.decode())
        finally:
            line.close()

    def enrollment(self, token: bytes) -> Enroll:
        """Return what the agent brings to be registered."""
        identity = self.identity
        return Enroll(
            token, self.name, identity.certificate, identity.frame_public, SOFTWARE, (PROTOCOL,)
        )

    def dial(self, number: int = 0) -> FakeLine:
        """Return a line with a session to one of the nodes, on which nothing was said yet."""
        line = FakeLine(self.nodes[number], self.identity, self.now_ms)
        try:
            line.exchange_nonces(self._entropy(NONCE_OCTETS))
        except BaseException:
            line.close()
            raise
        return line

    def hello(self) -> Hello:
        """Return the first message of a line."""
        return Hello(
            versions=(PROTOCOL,),
            agent=self.name,
            software=SOFTWARE,
            policy=POLICY,
            journal=self.desk.mark(),
            window=self.window,
            keys=self.desk.told(),
            stores=self.desk.stores(),
        )

    def connect(self, number: int = 0) -> Welcome:
        """Keep a line to one of the nodes, and answer what it asks.

        Raises:
            Dismissed: the server refuses.
            LineEnded: it does not even say so.
        """
        line = self.dial(number)
        line.send(self.hello())
        (welcome,) = line.receive().messages
        if isinstance(welcome, Goodbye):
            line.close()
            raise Dismissed(welcome.code, welcome.why.decode())
        if not isinstance(welcome, Welcome):
            raise WireError("no welcome")
        self.nodes = welcome.nodes
        thread = threading.Thread(
            target=self._serve, args=(line,), name=f"fake-{self.name}", daemon=True
        )
        self._lines[number] = line, thread
        thread.start()
        return welcome

    def tell(self, *messages: Message) -> None:
        """Send messages unasked on every line that is there."""
        for line, _ in list(self._lines.values()):
            with suppress(LineEnded):
                line.send(*messages)

    def inventory(self) -> Inventory:
        """Return what there is now."""
        return Inventory(POLICY, self.desk.told(), self.desk.stores())

    def tell_inventory(self) -> None:
        """Tell what there is now."""
        self.tell(self.inventory())

    @property
    def asked_to_sign(self) -> list[Sign]:
        """The requests to sign that came, in their order."""
        return [request for request in self.asked if isinstance(request, Sign)]

    def refusing(self, code: str, after: int = 0, times: int | None = None) -> Tamper:
        """Return what lets signatures be refused, always or so many times."""
        left = [times]

        def refuse(request: Request, answer: Answer) -> Answer:
            if not isinstance(request, Sign) or left[0] == 0:
                return answer
            left[0] = left[0] and left[0] - 1
            return self.desk.refuse(request, code, "because", after)

        return refuse

    def late(self, seconds: float) -> Tamper:
        """Return what lets signatures come so much later, while signs of life go on."""

        def later(request: Request, answer: Answer) -> Answer | None:
            if not isinstance(request, Sign):
                return answer
            timer = threading.Timer(seconds, self._tell_late, [answer])
            timer.daemon = True
            timer.start()
            return None

        return later

    def _tell_late(self, answer: Answer) -> None:
        self.tell(answer)
        self.late_ones += 1

    def drain(self) -> None:
        """Take nothing new."""
        self.tell(Drain())

    def stall(self) -> None:
        """Be stopped, as by SIGSTOP: nothing is read, nothing is answered."""
        self._going.clear()

    def go_on(self) -> None:
        """Wake up again."""
        self._going.set()

    def die(self) -> None:
        """Let every connection go, as a killed process does."""
        lines, self._lines = self._lines, {}
        for line, _ in lines.values():
            line.close()
        self._going.set()
        for _, thread in lines.values():
            thread.join()

    def die_soon(self) -> None:
        """Let every connection go, from within `tamper`."""
        for line, _ in self._lines.values():
            line.close()

    def close(self) -> None:
        """End all lines and remove the keys' file."""
        self.die()
        self.identity.remove()

    def _serve(self, line: FakeLine) -> None:
        line.seconds = 3600
        try:
            while True:
                delivery = line.receive()
                self._going.wait()
                self._answer(line, delivery.messages, delivery.sent)
        except (LineEnded, WireError, Dismissed, OSError, ValueError) as end:
            self.ended.append(str(end))
        finally:
            line.close()

    def _answer(self, line: FakeLine, messages: Sequence[Message], sent: int) -> None:
        answers: list[Message] = []
        for message in messages:
            match message:
                case Ping():
                    answers.append(Pong(sent, 0, self.desk.mark()))
                case Welcome(nodes=nodes):
                    self.nodes = nodes
                case Goodbye(code, why):
                    raise Dismissed(code, why.decode())
                case Relay():
                    self.asked.append(message)
                    answers += self._by_hand().relayed(message, self.nodes, self.desk.mark())
                case request if isinstance(request, Request):
                    answers += self._answers(request)
        for start in range(0, len(answers), MOST_MESSAGES):
            line.send(*answers[start : start + MOST_MESSAGES])

    def answer_bundle(self, octets: bytes) -> bytes:
        """Answer what was carried to an agent without a line."""
        return self._by_hand().answer_bundle(octets, self.name, self.inventory())

    def registration(self, text: str) -> bytes:
        """Return the file by which an agent without a line registers."""
        token = EnrollmentCode.read(text).token
        return self._by_hand().registration(token, self.enrollment(token))

    def _by_hand(self) -> FakeRelay:
        return FakeRelay(self.identity, self.now_ms, self._seen, self._answers)

    def _answers(self, request: Request) -> list[Message]:
        self.asked.append(request)
        answer = self.tamper(request, self.desk.answer(request))
        changed: list[Message] = []
        if isinstance(request, Generate | PutCertificate):
            changed.append(self.inventory())
        return changed if answer is None else [*changed, answer]
