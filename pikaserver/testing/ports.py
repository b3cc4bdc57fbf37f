"""Ports for servers of tests: nobody else takes one between its choice and the start of a server.

A port that the system has handed out and got back is handed out again, to whoever asks next.  So
these lie below the range from which systems hand out ports, and other processes of tests keep
away: each port is one octet of a file, which is locked as long as the process lives.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock

LOWEST, HIGHEST = 20_000, 31_999
"""Linux hands out ports from 32768 on, others from 49152 on."""
_APART = 2
"""A first start lets agents dial the port after that of the devices."""
_PLACES = (HIGHEST - LOWEST) // _APART


class Ports:
    """The ports of this process; it gives none of them twice."""

    def __init__(self, file: Path, seed: int) -> None:
        self._file = file
        self._turn = Lock()
        self._descriptor: int | None = None
        self._places = _from(seed)

    def take(self) -> int:
        """Return a port of the loopback on which nobody listens, and nobody else will.

        Raises:
            OSError: all of them are taken.
        """
        with self._turn:
            for _ in range(_PLACES):
                port = LOWEST + _APART * next(self._places)
                if self._lock(port) and _free(port):
                    return port
        raise OSError("no port is free for tests")

    def _lock(self, port: int) -> bool:
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        return True


def _from(seed: int) -> Iterator[int]:
    """Count through all places, from one that other processes are unlikely to begin with."""
    return (number % _PLACES for number in count(seed * 97))


def _free(port: int) -> bool:
    """Tell whether somebody could listen there, by TCP and by UDP."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


PORTS = Ports(Path(tempfile.gettempdir()) / f"pikaserver-test-ports-{os.getuid()}", os.getpid())
