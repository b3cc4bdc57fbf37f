"""What both ends of a line in one process share: octets instead of a socket, a watch on the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame, with_length

NONCE = bytes(32)


class LoggedFault(Exception):
    """Something was caught at the last moment, and its trace is in the log."""


class Octets:
    """Stands in for the TLS stream of either side: gives octets, and keeps what is sent."""

    def __init__(self, octets: bytes, ended: type[Exception], certificate: bytes = b"") -> None:
        self._octets = octets
        self._ended = ended
        self._certificate = certificate
        self.sent: list[bytes] = []
        self.heard = 1.0
        self.until: float | None = None

    def receive(self, count: int) -> bytes:
        """Return so many octets, or raise that the line has ended."""
        if count > len(self._octets):
            raise self._ended("no more octets")
        taken, self._octets = self._octets[:count], self._octets[count:]
        return taken

    def send(self, octets: bytes) -> None:
        """Keep octets."""
        self.sent.append(octets)

    def peer_certificate(self) -> bytes:
        """Return the other side's certificate."""
        return self._certificate

    def version(self) -> int:
        """Return the version of the protocol that TLS agreed on."""
        return 1

    def nothing(self, *_: object) -> None:
        """Stand for what matters to sockets only."""

    handshake = set_timeout = abort = finish = close = linger = nothing


@contextmanager
def watched(*names: str) -> Iterator[None]:
    """Raise what was logged with a trace while the block ran.

    Raises:
        LoggedFault: the cause is what was logged.
    """
    caught: list[BaseException] = []

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                caught.append(record.exc_info[1])

    watch = Watch()
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(watch)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(watch)
    if caught:
        raise LoggedFault(f"{type(caught[0]).__name__} was logged") from caught[0]


def framed(payload: bytes, sign) -> bytes:  # type: ignore[no-untyped-def]  # tests are not typed
    """Return any payload as a signed frame with its length."""
    return with_length(Frame(payload, sign(SIGNATURE_LABEL + payload)).octets())
