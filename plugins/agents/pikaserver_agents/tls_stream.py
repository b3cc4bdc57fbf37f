"""TLS over a socket for one reading and one writing thread at the same time.

OpenSSL's object is for one thread at once.  It works on memory here, behind a lock; the threads
wait for the network outside of it.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from functools import partial
from select import POLLIN, POLLOUT, poll
from time import monotonic

from hsm_agent.wire.channel_kinds import CLASSICAL_TLS
from hsm_agent.wire.frame_kinds import ED25519
from hsm_agent.wire.openings import ALPN, server_name
from hsm_agent.wire.tls_abilities import anchors
from pikaserver_agents.node_identity import NodeIdentity

SEND_SECONDS = 20.0
"""How long an agent may take no octets before its line is given up."""
LINGER_SECONDS = 1.0
_CHUNK = 256 * 1024


class LineBroken(Exception):
    """The connection is gone, or what comes is no TLS of ours."""


class TooSlow(LineBroken):
    """Octets did not come, or were not taken, in time."""


def server_context(identity: NodeIdentity, certificates: Sequence[bytes]) -> ssl.SSLContext:
    """Return what agents are answered with: TLS 1.3, no resumption, these certificates or none.

    Args:
        identity: of this node.
        certificates: DER, of the agents that may connect; nothing else is trusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.set_alpn_protocols([*ALPN.values()])
    identity.load_into(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    # Without it OpenSSL looks anchors up by subject, and takes the first of several with one name.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if certificates:
        context.load_verify_locations(cadata=anchors(certificates))
    return context


class Served:
    """The TLS contexts of a node, one for each of its keys; an agent asks for the one it knows."""

    def __init__(self, identities: Sequence[NodeIdentity], certificates: Sequence[bytes]) -> None:
        self._identities = {server_context(one, certificates): one for one in identities}
        self._by_name = {
            server_name(one.node.pin): context for context, one in self._identities.items()
        }
        self.context = next(
            (context for context, one in self._identities.items() if _is_classical(one)),
            next(reversed(self._identities)),
        )
        """For whoever asks for none: agents of version 1 know the oldest classical key."""
        self.context.sni_callback = self._choose

    def shown(self, context: ssl.SSLContext) -> NodeIdentity:
        """Return whose certificate a context shows."""
        return self._identities[context]

    def _choose(self, tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        if name is None:
            return None
        if name not in self._by_name:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        tls.context = self._by_name[name]
        return None


def _is_classical(identity: NodeIdentity) -> bool:
    return identity.kinds.tls == CLASSICAL_TLS and identity.kinds.frames == ED25519


class TlsStream:
    """An encrypted connection; `receive` is for one thread, `send` for one other.

    ``heard`` is when octets came last, 0 before the first; what has not come by ``until`` ends
    the connection (both monotonic seconds).
    """

    def __init__(self, line: socket.socket, served: Served) -> None:
        line.settimeout(0)
        self._line = line
        self._served = served
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = served.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self.heard = 0.0
        self.until: float | None = None

    def handshake(self) -> None:
        """Agree on keys.

        Raises:
            LineBroken: the other side does not speak TLS 1.3 and our protocol, or is unknown.
        """
        self._until_done(self._tls.do_handshake)
        self._flush()
        if self._tls.selected_alpn_protocol() not in ALPN.values():
            raise LineBroken(f"not {' or '.join(ALPN.values())}")

    def version(self) -> int:
        """Return the version of our protocol that both sides agreed on."""
        chosen = self._tls.selected_alpn_protocol()
        return next(version for version, name in ALPN.items() if name == chosen)

    def shown(self) -> NodeIdentity:
        """Return by which of our keys the agent knows this node."""
        return self._served.shown(self._tls.context)

    def peer_certificate(self) -> bytes:
        """Return the agent's certificate in DER; nothing if it showed none."""
        return self._tls.getpeercert(binary_form=True) or b""

    def receive(self, octets: int) -> bytes:
        """Return exactly so many octets.

        Raises:
            LineBroken: they do not come, or not in time.
        """
        received = bytearray()
        while len(received) < octets:
            most = min(octets - len(received), _CHUNK)
            received += self._until_done(partial(self._tls.read, most))
        return bytes(received)

    def send(self, octets: bytes) -> None:
        """Send all of it.

        Raises:
            LineBroken: the line is gone, or the other side takes nothing.
        """
        with self._sending:
            with self._lock:
                try:
                    self._tls.write(octets)
                except ssl.SSLError as error:
                    raise LineBroken(_reason(error)) from error
                sealed = self._outgoing.read()
            self._transmit(sealed)

    def abort(self) -> None:
        """Cut the line; a thread that waits in `receive` or `send` wakes."""
        try:
            self._line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def close(self) -> None:
        """Let the socket go, when no thread uses it any more."""
        self.abort()
        self._line.close()

    def linger(self) -> None:
        """Let the other side read why it is sent away: what it still sends is thrown away.

        A socket that is closed with octets unread is reset, and our last words are lost with it.
        """
        until = monotonic() + LINGER_SECONDS
        try:
            self._line.shutdown(socket.SHUT_WR)
            while monotonic() < until:
                self._await(POLLIN, until)
                if not self._line.recv(_CHUNK):
                    return
        except (OSError, LineBroken):
            return  # it did not wait for our words

    def _until_done(self, attempt: Callable[[], object]) -> bytes:
        """Repeat a deed of the TLS object, feeding it from the network, until it is done."""
        while True:
            try:
                with self._lock:
                    result = attempt()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
                continue
            except ssl.SSLError as error:
                self._say_why()
                raise LineBroken(_reason(error)) from error
            if result == b"":
                raise LineBroken("closed by the agent")
            return result if isinstance(result, bytes) else b""

    def _feed(self) -> None:
        self._await(POLLIN, self.until)
        try:
            octets = self._line.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise LineBroken(error.strerror or str(error)) from error
        if not octets:
            raise LineBroken("closed by the agent")
        self.heard = monotonic()
        with self._lock:
            self._incoming.write(octets)

    def _flush(self) -> None:
        """Send what the TLS object has to say for itself."""
        if self._outgoing.pending:
            with self._sending:
                with self._lock:
                    sealed = self._outgoing.read()
                self._transmit(sealed)

    def _say_why(self) -> None:
        """Send the alert of a handshake that failed, if that can be done at once."""
        try:
            self._line.send(self._outgoing.read())
        except OSError:
            return  # whoever is gone need not be told

    def _transmit(self, sealed: bytes) -> None:
        left = memoryview(sealed)
        until = monotonic() + SEND_SECONDS
        while left:
            try:
                left = left[self._line.send(left) :]
            except BlockingIOError:
                self._await(POLLOUT, until)
            except OSError as error:
                raise LineBroken(error.strerror or str(error)) from error

    def _await(self, event: int, until: float | None) -> None:
        ready = poll()
        ready.register(self._line, event)
        left = None if until is None else max(0.0, until - monotonic()) * 1000
        if not ready.poll(left):
            raise TooSlow("too slow")


def _reason(error: ssl.SSLError) -> str:
    return error.reason or str(error)
