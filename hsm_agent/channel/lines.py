"""The lines to all nodes; nodes are learned from those that are known."""

import logging
import threading
from collections.abc import Callable, Sequence

from hsm_agent.channel.keeper import Keeper, LineView
from hsm_agent.wire.messages import Enroll, Message, Node

_log = logging.getLogger(__name__)


class Lines:
    """One keeper for each node; a node is who has its keys, wherever it listens."""

    def __init__(
        self,
        keep: Callable[[Node], Keeper],
        remember: Callable[[Sequence[Node]], None],
        *,
        pinned: bool,
    ) -> None:
        self._keep = keep
        self._remember = remember
        self._pinned = pinned
        self._lock = threading.Lock()
        self._keepers: dict[bytes, Keeper] = {}
        self._stopped = False

    def start(self, nodes: Sequence[Node]) -> None:
        """Begin to dial all of them."""
        with self._lock:
            self._replace(nodes)

    def learn(self, nodes: Sequence[Node]) -> None:
        """Take the list of nodes that one of them sent, unless the settings pin theirs."""
        if self._pinned:
            return
        with self._lock:
            present = {keeper.node for keeper in self._keepers.values()}
            if self._stopped or present == set(nodes):
                return
            _log.info("the nodes are now %s", ", ".join(node.address for node in nodes))
            self._remember(nodes)
            gone = self._replace(nodes)
        for keeper in gone:
            # It may be the caller's own line: another thread says goodbye on it.
            args = ("this node is no longer one of the server's",)
            threading.Thread(target=keeper.stop, args=args, daemon=True).start()

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that lines are kept to."""
        with self._lock:
            return [keeper.node for keeper in self._keepers.values()]

    def views(self) -> Sequence[LineView]:
        """Return how each line is, by the number of its node."""
        with self._lock:
            keepers = list(self._keepers.values())
        return sorted((keeper.view() for keeper in keepers), key=lambda view: view.number)

    def tell(self, message: Message) -> None:
        """Send a message on every line."""
        for keeper in self._all():
            keeper.send(message)

    def register(self, enroll: Enroll, seconds: float) -> bool:
        """Have new keys of this agent taken by the first node that does so."""
        return any(keeper.register(enroll, seconds) for keeper in self._all())

    def redial(self) -> None:
        """Drop all lines and dial again, one after the other."""
        for keeper in self._all():
            keeper.redial()

    def drain(self) -> None:
        """Have nothing new come on any line, and dial no more."""
        with self._lock:
            self._stopped = True
        keepers = self._all()
        for keeper in keepers:
            keeper.drain()
        for keeper in keepers:
            keeper.wait_quiet()

    def stop(self) -> None:
        """End all lines with a last word."""
        for keeper in self._all():
            keeper.stop("the agent stops")

    def _all(self) -> list[Keeper]:
        with self._lock:
            return list(self._keepers.values())

    def _replace(self, nodes: Sequence[Node]) -> list[Keeper]:
        """Start keepers of new nodes; return those of nodes that are gone."""
        wanted = {node.pin + node.frame_key: node for node in nodes}
        gone = [self._keepers.pop(key) for key in self._keepers.keys() - wanted.keys()]
        for key, node in wanted.items():
            if key in self._keepers:
                self._keepers[key].node = node
            else:
                self._keepers[key] = self._keep(node)
                self._keepers[key].start()
        return gone
