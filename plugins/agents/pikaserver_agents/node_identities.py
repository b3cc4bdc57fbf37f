"""The keys of this node as they are now, opened: another process may have made or retired some."""

from collections.abc import Callable, Sequence
from threading import Lock

from pikaserver.api.errors import KeyUnavailable
from pikaserver_agents.directory import Directory
from pikaserver_agents.node_identity import NodeIdentity, NodeMaker


class NodeIdentities:
    """Opens each key once; a change shows when the directory has seen it."""

    def __init__(
        self, number: int, maker: NodeMaker, directory: Directory, address: Callable[[], str]
    ) -> None:
        self._number = number
        self._maker = maker
        self._directory = directory
        self._address = address
        self._lock = Lock()
        self._pins: Sequence[bytes] = ()
        self._opened: Sequence[NodeIdentity] = ()

    def ensure(self) -> None:
        """Have this node made, with keys of the kinds that are wanted; none is opened.

        Raises:
            ConfigurationError: the settings want keys that this host's TLS library has not.
        """
        self._maker.ensure(self._address())
        self._directory.refresh()

    def present(self) -> Sequence[NodeIdentity]:
        """Return them from the oldest on, at least one; the first process that asks makes them.

        Raises:
            ConfigurationError: the settings want keys that this host's TLS library has not.
            KeyUnavailable: they were sealed by another server, or all were retired.
        """
        with self._lock:
            if not self._opened:
                self.ensure()
            keys = self._directory.view().keys_of(self._number)
            pins = [key.node.pin for key in keys]
            if pins != self._pins:
                self._opened, self._pins = self._maker.open(keys), pins
            if not self._opened:
                raise KeyUnavailable("every key of this node was retired: start the server again")
            return self._opened

    def newest(self) -> NodeIdentity:
        """Return the newest; agents that can verify it are told of it."""
        return self.present()[-1]

    def by_generation(self, generation: int) -> NodeIdentity | None:
        """Return the keys of a generation, ``None`` where they are retired."""
        return next((one for one in self.present() if one.generation == generation), None)
