"""TLS over a socket for one reading and one writing thread at the same time.

The library's own socket class lets two threads into one OpenSSL object at once.  Here the object
works on memory behind a lock, and the threads wait for the network outside of it.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from hsm_agent.channel.faults import LineFault, Lost, NotKnownThere, NotReached
from hsm_agent.wire.openings import ALPN

_CHUNK = 256 * 1024
_ALERTS = ("ALERT_UNKNOWN_CA", "ALERT_CERTIFICATE", "ALERT_BAD_CERTIFICATE", "ALERT_ACCESS_DENIED")


def client_context(identity_file: str | None) -> ssl.SSLContext:
    """Return what agents connect with: TLS 1.3, no authorities, for the pin is compared after.

    ``identity_file`` holds our key and certificate; an agent that enrols has none yet.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([*ALPN.values()])
    if identity_file is not None:
        context.load_cert_chain(identity_file)
    return context


class TlsStream:
    """An encrypted connection; `receive` is for one thread, `send` for any number."""

    def __init__(self, line: socket.socket, context: ssl.SSLContext, server_name: str) -> None:
        self._line = line
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def handshake(self, check: Callable[[bytes], None]) -> None:
        """Agree on keys with the one whose certificate (DER) ``check`` lets through.

        Whoever else answers has seen our first words, and neither our certificate nor anything
        after it.

        Raises:
            NotReached: the other side does not speak TLS 1.3 and our protocol.
        """
        try:
            self._until_done(self._tls.do_handshake)
        except (LineFault, ssl.SSLError) as error:
            raise NotReached(f"no TLS 1.3 there: {_reason(error)}") from error
        # The library is done, and its last words wait here until we know to whom they go.
        check(self.peer_certificate())
        if self._tls.selected_alpn_protocol() not in ALPN.values():
            spoken = " or ".join(ALPN.values())
            raise NotReached(f"what answers there does not speak {spoken}")
        try:
            self._flush()
        except LineFault as error:
            raise NotReached(f"no TLS 1.3 there: {_reason(error)}") from error

    def version(self) -> int:
        """Return the version of our protocol that both sides agreed on."""
        chosen = self._tls.selected_alpn_protocol()
        return next(version for version, name in ALPN.items() if name == chosen)

    def peer_certificate(self) -> bytes:
        """Return the other side's certificate in DER."""
        return self._tls.getpeercert(binary_form=True) or b""

    def set_timeout(self, seconds: float) -> None:
        """Let both directions fail when nothing moves for so long."""
        self._line.settimeout(seconds)

    def receive(self, octets: int) -> bytes:
        """Return exactly so many octets.

        Raises:
            Lost: they do not come.
        """
        received = bytearray()
        while len(received) < octets:
            received += self._read(octets - len(received))
        return bytes(received)

    def send(self, octets: bytes) -> None:
        """Send all of it.

        Raises:
            Lost: the line is gone, or nothing moves.
        """
        with self._sending:
            with self._lock:
                try:
                    self._tls.write(octets)
                except ssl.SSLError as error:
                    raise Lost(f"the line is broken: {_reason(error)}") from error
                sealed = self._outgoing.read()
            self._transmit(sealed)

    def close(self) -> None:
        """Say so to the other side, if that can be done at once, and let the socket go."""
        if self._sending.acquire(blocking=False):
            try:
                self._say_closed()
            finally:
                self._sending.release()
        self.abort()
        self._line.close()

    def finish(self) -> None:
        """Send nothing more, so that the other side reads all that was sent before it closes."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Cut the line; a thread that waits in `receive` or `send` wakes."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def _read(self, most: int) -> bytes:
        def attempt() -> bytes:
            return self._tls.read(min(most, _CHUNK))

        try:
            octets = self._until_done(attempt)
        except ssl.SSLError as error:
            if any(alert in str(error.reason) for alert in _ALERTS):
                raise NotKnownThere("the server does not know this agent's TLS key") from error
            raise Lost(f"the line is broken: {_reason(error)}") from error
        if not octets:
            raise Lost("the server closed the line")
        return octets

    def _until_done(self, attempt: Callable[[], object]) -> bytes:
        """Repeat a deed of the TLS object, feeding it from the network, until it is done."""
        while True:
            try:
                with self._lock:
                    result = attempt()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            else:
                return result if isinstance(result, bytes) else b""

    def _feed(self) -> None:
        try:
            octets = self._line.recv(_CHUNK)
        except TimeoutError as error:
            raise Lost("the server has been silent for too long") from error
        except OSError as error:
            raise Lost(f"the line is gone: {error.strerror or error}") from error
        if not octets:
            raise Lost("the server closed the line")
        with self._lock:
            self._incoming.write(octets)

    def _flush(self) -> None:
        """Send what the TLS object has to say for itself."""
        if self._outgoing.pending:
            with self._sending:
                with self._lock:
                    sealed = self._outgoing.read()
                self._transmit(sealed)

    def _transmit(self, sealed: bytes) -> None:
        left = memoryview(sealed)
        try:
            while left:
                left = left[self._line.send(left) :]
        except OSError as error:
            raise Lost(f"the line is gone: {error.strerror or error}") from error

    def _say_closed(self) -> None:
        # Whoever is gone need not be told.
        with self._lock, suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        with suppress(OSError):
            self._line.settimeout(0)
            self._line.send(self._outgoing.read())


def _reason(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)
