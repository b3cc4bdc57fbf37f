"""Keeps a line to one node: dials, serves, and dials again."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from hsm_agent.channel.backoff import Backoff
from hsm_agent.channel.desk import Desk
from hsm_agent.channel.faults import LineFault, Lost, WrongServer
from hsm_agent.channel.greeting import FramedLine
from hsm_agent.channel.line import Line
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Enroll, Message, Node

GOOD_MS = 3000
"""A line that lived so long was good: the next try comes soon."""

REDIAL_SECONDS = 10.0
"""So long a line that is dialled again may take for its last answers."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineView:
    """A line as people see it: ``state`` is ``down``, ``dialling``, ``up`` or ``draining``.

    ``since`` is in milliseconds since 1970; ``fault`` is why it was down last; ``ping_age`` is
    in milliseconds, -1 without a line.
    """

    number: int
    address: str
    state: str
    since: int
    ping_age: int = -1
    answered: int = 0
    refused: int = 0
    tries: int = 0
    fault: str = ""


class Keeper:
    """One thread for one node."""

    def __init__(
        self,
        node: Node,
        dial: Callable[[Node], FramedLine],
        desk: Desk,
        backoff: Backoff,
        now_ms: Callable[[], int],
    ) -> None:
        self.node = node
        self._dial = dial
        self._desk = desk
        self._backoff = backoff
        self._now_ms = now_ms
        self._view = LineView(node.number, node.address, "dialling", now_ms())
        self._line: Line | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"node {node.number}", daemon=True)

    def start(self) -> None:
        """Begin to dial."""
        self._thread.start()

    def view(self) -> LineView:
        """Return how the line is now."""
        with self._lock:
            line, view = self._line, self._view
        if line is None:
            return view
        age = line.ping_age()
        return replace(
            view,
            number=line.number,
            state="draining" if line.draining else view.state,
            ping_age=-1 if age is None else age,
            answered=line.answered,
            refused=line.refused,
        )

    def send(self, message: Message) -> None:
        """Send a message if there is a line."""
        line = self._line
        if line is not None:
            line.send(message)

    def register(self, enroll: Enroll, seconds: float) -> bool:
        """Have the server take new keys of this agent; return whether it said that it did."""
        line = self._line
        return line is not None and line.register(enroll, seconds)

    def drain(self) -> None:
        """Have the server ask for nothing new on this line."""
        self._stopping.set()
        line = self._line
        if line is not None:
            line.drain()

    def wait_quiet(self) -> None:
        """Wait until nothing new comes on this line."""
        line = self._line
        if line is not None:
            line.wait_quiet()

    def stop(self, why: str, seconds: float = 2.0) -> None:
        """End the line with a last word and do not dial again."""
        self._stopping.set()
        line = self._line
        if line is not None:
            line.say_goodbye("stopping", why)
        if self._thread is not threading.current_thread() and self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def number(self) -> int:
        """The number of the node, as it said itself on the line."""
        line = self._line
        return self.node.number if line is None else line.number

    def leave(self, why: str) -> None:
        """Answer what the line still owes, then end it and do not dial again."""
        self._stopping.set()
        line = self._line
        if line is not None:
            line.drain()
            line.wait_quiet()
            line.wait_answered(REDIAL_SECONDS)
        self.stop(why)

    def redial(self) -> None:
        """Answer what the line still owes, then dial again at once."""
        line = self._line
        if line is not None:
            self._again.set()
            line.drain()
            line.wait_quiet()
            line.wait_answered(REDIAL_SECONDS)
            line.say_goodbye("again", "the agent dials again")

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = self._desk.elapsed()
            fault = self._serve_once()
            if self._desk.elapsed() - began > GOOD_MS:
                self._backoff.reset()
            if self._stopping.is_set():
                break
            if self._again.is_set():
                self._again.clear()
                continue
            self._note(fault)
            self._stopping.wait(self._backoff.next_wait())
            self._show("dialling")
        self._show("down")

    def _serve_once(self) -> LineFault | WireError:
        """Dial and serve until the line ends; return why it did."""
        try:
            return self._serve()
        except Exception as error:  # noqa: BLE001 - without its thread a node is never dialled again
            _log.exception("line to %s failed", self.node.address)
            return Lost(f"a fault of this agent: {error}")

    def _serve(self) -> LineFault | WireError:
        try:
            line = Line(self.node, self._dial(self.node), self._desk)
        except (LineFault, WireError) as error:
            return error
        try:
            line.greet()
            self._begin(line)
            line.run()
        except (LineFault, WireError) as error:
            return error
        finally:
            self._line = None
            line.end()

    def _begin(self, line: Line) -> None:
        self._line = line
        if self._stopping.is_set():
            raise Lost("the agent stops")
        self._show("up", "")
        self._desk.report("link", self.node, "")
        _log.info("line to node %s at %s is up", line.number, self.node.address)

    def _note(self, fault: LineFault | WireError) -> None:
        text = str(fault)
        if text != self._view.fault:
            _log.warning("line to %s: %s", self.node.address, text)
        if isinstance(fault, WireError | WrongServer):
            self._desk.report("line", self.node, text)
        self._show("down", text)

    def _show(self, state: str, fault: str | None = None) -> None:
        with self._lock:
            view = self._view
            self._view = replace(
                view,
                state=state,
                since=view.since if view.state == state else self._now_ms(),
                fault=view.fault if fault is None else fault,
                tries=0 if state == "up" else view.tries + (state == "dialling"),
            )
