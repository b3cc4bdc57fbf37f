"""The line between the store and its worker: length-prefixed maps of strict CBOR."""

import socket
import struct
from collections.abc import Callable, Mapping

from hsm_agent.wire.encoding import Value, decode, encode

LIMIT_OCTETS = 64 << 20
"""No message is longer: what is not hashed beforehand is a CRL at most."""

_LENGTH_OCTETS = 4
_CHUNK = 1 << 16
_SOON = struct.pack("ll", 0, 200_000)
"""A ``struct timeval``: after so many microseconds a send returns, though nothing was taken."""


class Pipe:
    """One end; each side has one thread that receives, and sends one message at a time."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._arrived = bytearray()

    def send(self, octets: bytes, meanwhile: Callable[[], None] | None = None) -> None:
        """Send one message as `framed` made it.

        ``meanwhile`` is called again and again while the other side does not read.

        Raises:
            OSError: the other side is gone.
        """
        if meanwhile is None:
            self._line.sendall(octets)
            return
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SOON)
        left = memoryview(octets)
        while left:
            try:
                left = left[self._line.send(left) :]
            except BlockingIOError:
                meanwhile()

    def receive(self) -> Mapping[str, Value] | None:
        """Wait for the next message; ``None`` when the other side is gone.

        Raises:
            WireError: what came is not what the other side can have sent.
        """
        while not self.has_message():
            if self._announced() > LIMIT_OCTETS:
                return None
            try:
                octets = self._line.recv(_CHUNK)
            except OSError:
                return None
            if not octets:
                return None
            self._arrived += octets
        end = _LENGTH_OCTETS + self._announced()
        message = decode(bytes(memoryview(self._arrived)[_LENGTH_OCTETS:end]))
        del self._arrived[:end]
        return message if isinstance(message, dict) else None

    def has_message(self) -> bool:
        """Tell whether a whole message has arrived already, and `receive` would not wait."""
        enough = len(self._arrived) >= _LENGTH_OCTETS
        return enough and len(self._arrived) >= _LENGTH_OCTETS + self._announced()

    def _announced(self) -> int:
        return int.from_bytes(self._arrived[:_LENGTH_OCTETS], "big")

    def end(self) -> None:
        """Let the other side read to the end of what was sent, and then know that it is all."""
        try:
            self._line.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def cut(self) -> None:
        """Have whoever receives here find the end, once what has arrived is read."""
        try:
            self._line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close this end."""
        self._line.close()


def framed(message: Mapping[str, Value]) -> bytes:
    """Return a message as it travels."""
    octets = encode(message)
    return len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets


def number(message: Mapping[str, Value], name: str) -> int:
    """Return a number of a message, 0 where it has none."""
    value = message.get(name, 0)
    return value if isinstance(value, int) else 0


def octets(message: Mapping[str, Value], name: str) -> bytes:
    """Return octets of a message, none where it has none."""
    value = message.get(name, b"")
    return value if isinstance(value, bytes) else b""


def text(message: Mapping[str, Value], name: str) -> str:
    """Return a text of a message, empty where it has none."""
    value = message.get(name, "")
    return value if isinstance(value, str) else ""


def flag(message: Mapping[str, Value], name: str) -> bool:
    """Tell whether a message says yes to something."""
    return message.get(name) is True


def maps(message: Mapping[str, Value], name: str) -> list[Mapping[str, Value]]:
    """Return the maps of a list within a message."""
    value = message.get(name, [])
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def numbers(message: Mapping[str, Value], name: str) -> list[int]:
    """Return the numbers of a list within a message."""
    value = message.get(name, [])
    return [item for item in value if isinstance(item, int)] if isinstance(value, list) else []
