"""The lines to all nodes; nodes are learned from those that are known."""

import logging
import threading
from collections.abc import Callable, Sequence

from hsm_agent.channel.keeper import Keeper, LineView
from hsm_agent.wire.frame_kinds import frame_pin
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
            _, fresh = self._replace(nodes)
        for keeper in fresh:
            keeper.start()

    def learn(self, nodes: Sequence[Node], by: Node) -> None:
        """Take the list of nodes that one of them sent, unless the settings pin theirs.

        A node that has new keys is dialled with them once the line under the old ones has given
        its last answers.  That line teaches nothing more: who has stolen old keys could otherwise
        answer the good news with the old list.
        """
        if self._pinned:
            return
        with self._lock:
            present = {keeper.node for keeper in self._keepers.values()}
            if self._stopped or present == set(nodes) or _keys_of(by) not in self._keepers:
                return
            _log.info("the nodes are now %s", ", ".join(node.address for node in nodes))
            self._remember(nodes)
            gone, fresh = self._replace(nodes)
        # It may be the caller's own line: another thread says goodbye on it.
        left = [(keeper, keeper.number) for keeper in gone]
        for keeper, number in left:
            heirs = [one for one in fresh if one.node.number == number]
            threading.Thread(target=_succeed, args=(keeper, heirs), daemon=True).start()
        inherited = {number for _, number in left}
        for keeper in fresh:
            if keeper.node.number not in inherited:
                keeper.start()

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

    def _replace(self, nodes: Sequence[Node]) -> tuple[list[Keeper], list[Keeper]]:
        """Return the keepers of keys that are gone, and of new ones, which are to be started."""
        wanted = {_keys_of(node): node for node in nodes}
        gone = [self._keepers.pop(key) for key in self._keepers.keys() - wanted.keys()]
        fresh = []
        for key, node in wanted.items():
            if key in self._keepers:
                self._keepers[key].node = node
            else:
                self._keepers[key] = self._keep(node)
                fresh.append(self._keepers[key])
        return gone, fresh


def _keys_of(node: Node) -> bytes:
    """Return what tells nodes apart: the pins of both keys."""
    return node.pin + frame_pin(node.frame_key)


def _succeed(gone: Keeper, heirs: Sequence[Keeper]) -> None:
    """Let a keeper end, and then those begin that dial the same node with its new keys."""
    if heirs:
        gone.leave("the node has new keys")
    else:
        gone.stop("this node is no longer one of the server's")
    for keeper in heirs:
        keeper.start()
