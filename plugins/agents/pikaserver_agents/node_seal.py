"""What seals the private keys of this node: for this plugin alone."""

from pikaserver.api.errors import KeyUnavailable
from pikaserver.api.operations import Secrets

PURPOSE = "agents.node"
_MARK = b"\xffnode\x01"
"""Stands before what is sealed for us; nothing that `Server.secrets` sealed begins so."""


class NodeSeal:
    """Opens what it sealed, and once what was sealed by what every plugin has."""

    def __init__(self, everybodys: Secrets) -> None:
        self._everybodys = everybodys
        self._ours: Secrets | None = None

    def seal_with(self, secrets: Secrets) -> None:
        """See ``pikaserver.api.signing.KeySealer``."""
        self._ours = secrets

    def seal(self, pin: bytes, plain: bytes) -> bytes:
        """Return private keys sealed; they open for the TLS key of this pin only."""
        return _MARK + self._sealing().seal(_purpose(pin), plain)

    def open(self, pin: bytes, sealed: bytes) -> bytes:
        """Return what `seal` sealed.

        Raises:
            KeyUnavailable: it was sealed for something else, by another server, or altered.
        """
        return self._sealing().open(_purpose(pin), sealed.removeprefix(_MARK))

    def is_everybodys(self, sealed: bytes) -> bool:
        """Tell whether any plugin could open this: it is of an older server."""
        return not sealed.startswith(_MARK)

    def open_everybodys(self, sealed: bytes) -> bytes:
        """Return what an older server sealed; seal it anew after that."""
        return self._everybodys.open(PURPOSE, sealed)

    def _sealing(self) -> Secrets:
        if self._ours is None:
            raise KeyUnavailable("this node's keys cannot be opened before the server is there")
        return self._ours


def _purpose(pin: bytes) -> str:
    return f"{PURPOSE} {pin.hex()}"
