"""What has to be done beside the requests of one line: journal, inventory, certificates."""

import logging
import threading
from queue import Empty
from time import monotonic

from hsm_agent.wire.messages import Hello, Inventory
from pikaserver.api.errors import KeyUnavailable, StorageUnavailable
from pikaserver_agents.inventory import Inventories
from pikaserver_agents.journals import Contradiction, Journals
from pikaserver_agents.kept_certificates import KeptCertificates
from pikaserver_agents.line import Answer, Line, Lost, Request
from pikaserver_agents.lines import Lines
from pikaserver_agents.links import Links
from pikaserver_agents.repeating import Repeating

ANSWER_SECONDS = 10.0
"""How long the agent may take for what nobody waits for."""
EACH_SECONDS = 1.0
"""How often to look whether something is to be done."""
MIRROR_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Steward:
    """Works for one line, in a thread of its own, for as long as it lives.

    The agent is asked for nothing before its journal was found to contain what is known of it.
    """

    def __init__(
        self,
        line: Line,
        lines: Lines,
        links: Links,
        journals: Journals,
        inventories: Inventories,
        certificates: KeptCertificates,
    ) -> None:
        self._line = line
        self._lines = lines
        self._links = links
        self._journals = journals
        self._inventories = inventories
        self._certificates = certificates
        self._wake = threading.Event()
        self._announced: Hello | Inventory | None = line.hello
        self._next_mirror = 0.0
        self._ready = False
        self._work = Repeating(f"agent-{line.agent}-steward", self._step)

    def start(self) -> None:
        """Begin."""
        self._wake.set()
        self._work.start()

    def announce(self, message: Inventory) -> None:
        """Have what the agent announces stored."""
        self._announced = message
        self._wake.set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def stop(self) -> None:
        """End, when the line has ended."""
        self._wake.set()
        self._work.stop()

    def _step(self) -> None:
        self._wake.wait(EACH_SECONDS)
        self._wake.clear()
        if self._line.closed:
            return
        try:
            self._ready = self._ready or self._make_ready()
            self._tend()
        except Contradiction as contradiction:
            self._lock_out(str(contradiction))
        except KeyUnavailable as error:
            extra = {"event": "agents.steward", "agent": self._line.agent, "why": str(error)}
            _log.info("to be done later", extra=extra)
        except StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001 - the thread of a connection is one of the three places
            # Without its steward a line would be there, and never be asked; the agent comes again.
            extra = {"event": "agents.steward", "agent": self._line.agent}
            _log.exception("steward failed", extra=extra)
            self._line.cut("a fault of the server; its log says more")

    def _make_ready(self) -> bool:
        self._journals.check_mark(self._line.agent, self._ask)
        self._take_announced()
        self._links.add(self._line)
        self._lines.make_ready(self._line)
        _log.info("agent is there", extra={"event": "agents.line", "agent": self._line.agent})
        return True

    def _tend(self) -> None:
        self._take_announced()
        self._certificates.tend(self._line, self._ask)
        if monotonic() >= self._next_mirror and self._links.is_first(self._line.agent):
            self._next_mirror = monotonic() + MIRROR_SECONDS
            self._journals.catch_up(self._line.agent, self._ask)

    def _take_announced(self) -> None:
        announced = self._announced
        if announced is not None:
            self._inventories.take(self._line.agent, announced.keys, announced.stores)
            if self._announced is announced:
                self._announced = None

    def _lock_out(self, why: str) -> None:
        # Whatever can be stored, this line signs nothing more.
        self._line.dismiss("locked", f"the journal differs: {why}")
        self._journals.lock_out(self._line.agent, why)

    def _ask(self, request: Request) -> Answer:
        inbox = self._line.ask(request)
        try:
            outcome = inbox.get(timeout=ANSWER_SECONDS)
        except Empty:
            self._line.forget(request.id)
            raise KeyUnavailable(f"agent {self._line.agent} does not answer") from None
        if isinstance(outcome, Lost):
            raise KeyUnavailable(f"agent {self._line.agent} went away: {outcome.why}")
        return outcome
