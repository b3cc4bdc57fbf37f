"""Who guesses too often has to wait: failures counted for all nodes together."""

from typing import Protocol


class Lockout(Protocol):
    """Counts failures per key, which is who guesses, and perhaps at what."""

    def check(self, key: str) -> None:
        """Return when this key may try.

        Raises:
            TooManyRequests: it has to wait, whatever it knows by now.
        """
        ...

    def failed(self, key: str) -> None:
        """Count one failure."""
        ...

    def succeeded(self, key: str) -> None:
        """Forget this key's failures."""
        ...


class Lockouts(Protocol):
    """Where doors get theirs."""

    def named(self, name: str, allowed: int) -> Lockout:
        """Return the lock-out of a door: the failure ``allowed`` is the first that locks.

        It locks for a minute, each further failure for twice as long, up to 15 minutes; after
        15 quiet minutes all is forgotten.
        """
        ...
