"""The right to sign for a line: it lasts as long as the server's newest Ping is young."""

from collections.abc import Callable

from hsm_agent.channel.faults import Lost


class Lease:
    """Ends by itself: whoever was stopped or cut off finds that he may not sign any more.

    A Ping's age is counted in the server's own time, so that one that lay in a buffer while this
    process was stopped is old when it is read.  All times are milliseconds; ``elapsed`` only
    ever grows, also while the host sleeps.
    """

    def __init__(self, dead: int, asked: int, server_time: int, elapsed: Callable[[], int]) -> None:
        """Begin with the handshake.

        ``asked`` is when we sent what the server answered at its time ``server_time``: it can
        only have been later there, so no Ping is ever taken for younger than it is.

        Raises:
            Lost: the answer took so long that ages could not be told well enough.
        """
        took = elapsed() - asked
        if took > dead // 2:
            raise Lost(f"the handshake took {took} ms, too long for a line that may sign {dead} ms")
        self._dead = dead
        self._offset = server_time - asked
        self._elapsed = elapsed
        self._newest = asked

    def renew(self, sent: int) -> bool:
        """Take a Ping with the server's time; return whether it is young enough to count."""
        self._newest = max(self._newest, min(sent - self._offset, self._elapsed()))
        return self.may_sign()

    def may_sign(self) -> bool:
        """Tell whether a key may be used for this line now."""
        return self.age() < self._dead

    def age(self) -> int:
        """Return the age of the newest Ping, or of the handshake."""
        return self._elapsed() - self._newest
