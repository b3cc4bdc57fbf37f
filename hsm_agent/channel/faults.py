"""Why a line ends; each is told to people, logged, and the agent dials again.

::

    LineFault
    ├── NotReached      no connection, or none that carries TLS 1.3
    ├── WrongServer     the other side is not the node that was pinned
    ├── NotKnownThere   the server does not know this agent's key
    ├── Lost            closed, silent for too long, or cut
    └── Dismissed       the server said goodbye; ``code`` is its word for it
"""


class LineFault(Exception):
    """The line cannot be used, or not any more."""


class NotReached(LineFault):
    """Nobody answers there, or in another tongue."""


class WrongServer(LineFault):
    """Somebody else answers: nothing was sent."""


class NotKnownThere(LineFault):
    """The TLS library there refused our key."""


class Lost(LineFault):
    """The line is gone."""


class Dismissed(LineFault):
    """The server ended the line, and said why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"the server said {code}: {why}" if why else f"the server said {code}")
        self.code = code
