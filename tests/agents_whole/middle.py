"""Somebody between agent and server: passes octets on, or changes them, or ends TLS himself."""

import contextlib
import socket
import ssl
import threading

CHUNK = 65_536
TO_SERVER, TO_AGENT = "to the server", "to the agent"
_SECONDS = 10
_HELD_SECONDS = 30


def honestly(_direction, octets):
    """Pass everything on."""
    return octets


class Middle:
    """Listens where agents believe the server to be.

    ``deal`` gets each direction and its octets and returns what is passed on, ``None`` to cut
    the connection; with ``tls``, a server's context, TLS ends here and nothing is passed on.
    """

    def __init__(self):
        self.upstream = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.deal = honestly
        self.tls = None
        self.heard = b""
        self.certificates = []
        self.visits = 0
        self._lines = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def behave(self, deal=honestly, tls=None):
        """Begin to deal with octets in this way, with new connections only."""
        self.deal, self.tls = deal, tls
        self.cut()

    def cut(self):
        """End all connections."""
        with self._lock:
            lines, self._lines = self._lines, set()
        for line in lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self):
        """Be gone."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serve = self._pass_on if self.tls is None else self._end_tls
            threading.Thread(target=serve, args=(line,), daemon=True).start()

    def _pass_on(self, line):
        try:
            upstream = socket.create_connection(("127.0.0.1", self.upstream), _SECONDS)
        except OSError:
            line.close()
            return
        upstream.settimeout(None)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._lines |= {line, upstream}
        deal = self.deal
        back = threading.Thread(
            target=self._pump, args=(upstream, line, TO_AGENT, deal), daemon=True
        )
        back.start()
        self._pump(line, upstream, TO_SERVER, deal)
        back.join()
        with self._lock:
            self._lines -= {line, upstream}
        line.close()
        upstream.close()

    def _pump(self, source, sink, direction, deal):
        with contextlib.suppress(OSError):
            while octets := source.recv(CHUNK):
                passed = deal(direction, octets)
                if passed is None:
                    break
                sink.sendall(passed)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _end_tls(self, line):
        line.settimeout(_SECONDS)
        with self._lock:
            self._lines.add(line)
        with line, contextlib.suppress(OSError):
            opened = self.tls.wrap_socket(line, server_side=True)
            self.certificates.append(opened.getpeercert(binary_form=True))
            while octets := opened.recv(CHUNK):
                self.heard += octets


class After:
    """Leaves the first octets of a direction alone and does something with all later ones."""

    def __init__(self, direction, deed, octets):
        self._direction = direction
        self._deed = deed
        self._left = octets

    def __call__(self, direction, octets):
        """See `Middle`."""
        if direction != self._direction:
            return octets
        self._left -= len(octets)
        return octets if self._left > 0 else self._deed(octets)


class Holding:
    """Keeps back what goes in one direction, until it is let go."""

    def __init__(self, direction):
        self._direction = direction
        self.free = threading.Event()
        self.free.set()

    def __call__(self, direction, octets):
        """See `Middle`."""
        if direction == self._direction:
            self.free.wait(_HELD_SECONDS)
        return octets


def flip(octets):
    """Change one bit in the middle."""
    at = len(octets) // 2
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


def twice(octets):
    """Send the same again."""
    return octets + octets


def shuffled(octets):
    """Exchange both halves."""
    half = len(octets) // 2
    return octets[half:] + octets[:half]


def shortened(octets):
    """Leave the last octet out."""
    return octets[:-1]


def cut(octets):
    """Pass nothing on any more."""


def terminating(certificate, key):
    """Return the context of a server with this certificate that asks for those of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["pki-hsm/1"])
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(certificate)
    return context
