"""A TCP server of the tests that says whatever a test lets it say, in TLS where wanted."""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.acme_validation.tokens import KEY_AUTHORIZATION, PATH

Say = Callable[[socket.socket, bytes], None]
"""Is given the connection and what came up to the first empty line."""


class RawServer:
    """Serves each connection in a thread; ``heads`` are what the callers sent."""

    def __init__(self, say: Say, context: ssl.SSLContext | None = None) -> None:
        self.heads: list[bytes] = []
        self.say = say
        self.connections = 0
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._socket.getsockname()[1]

    def close(self) -> None:
        """Cut every line."""
        self._ending.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for line in self._open:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(line)
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError), line:
            if self._context is not None:
                line = self._context.wrap_socket(line, server_side=True)
                self._open.append(line)
            head = b""
            while b"\r\n\r\n" not in head and (more := line.recv(4096)):
                head += more
            self.heads.append(head)
            self.say(line, head)
            line.close()


def answer(status: str, body: bytes = b"", *fields: str) -> bytes:
    """Return an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def always(octets: bytes) -> Say:
    """Return a server that says the same to all."""
    return lambda line, _head: line.sendall(octets)


def by_path(answers: dict[str, bytes]) -> Say:
    """Return a server that looks at the path, and knows what it was not told of as 404."""

    def say(line: socket.socket, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        line.sendall(answers.get(path, answer("404 Not Found")))

    return say


def drip(octets: bytes, ending: threading.Event, seconds: float = 0.02) -> Say:
    """Return a server that says a head, then the same octets again and again, slowly."""

    def say(line: socket.socket, _head: bytes) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not ending.wait(seconds):
            line.sendall(octets)

    return say


GOOD = by_path({PATH: answer("200 OK", KEY_AUTHORIZATION.encode())})
