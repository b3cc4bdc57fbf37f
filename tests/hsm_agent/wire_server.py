"""A node of the server that tests hold in their hands: it speaks the wire, and lies on demand."""

import select
import socket
import ssl
import threading
from contextlib import contextmanager

from hsm_agent import clock
from hsm_agent.identity.identity import frame_verifier, make_identity
from hsm_agent.wire.codec import from_map
from hsm_agent.wire.encoding import decode
from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame, receive_octets, with_length
from hsm_agent.wire.messages import Enrolled, Node, Ping, Welcome
from hsm_agent.wire.session import Session, session_id

TIMEOUT = 60
"""Seconds; a test that waits so long has failed."""
LONG = 60_000
"""Milliseconds of silence that no busy machine reaches: a line ends only where a test means it."""


class Gone(Exception):
    """The agent closed the line."""


class Connection:
    """The server's end of one line, after the handshake."""

    def __init__(self, line, node):
        self.line = line
        self.node = node
        self.identifier = b""
        self.session = None
        self._sending = threading.Lock()
        self._using = threading.Lock()
        self._beating = threading.Event()
        self.later = []

    def octets(self, count):
        """Receive exactly so many octets."""
        found = b""
        while len(found) < count:
            try:
                more = self._some(count - len(found))
            except (ssl.SSLError, ConnectionError) as error:
                raise Gone from error
            if not more:
                raise Gone
            found += more
        return found

    def _some(self, count):
        """Receive up to so many octets, never within OpenSSL while `beat` is: a line is for one."""
        waiting = select.poll()
        waiting.register(self.line, select.POLLIN)
        while True:
            with self._using:
                patience = self.line.gettimeout()
                self.line.settimeout(0)
                try:
                    return self.line.recv(count)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.line.settimeout(patience)
            if not waiting.poll(patience * 1000):
                raise TimeoutError

    def delivery(self):
        """Return what the next frame brings."""
        return self.session.open(Frame.of(receive_octets(self.octets)))

    def receive(self, kind):
        """Return the next message of a kind; what comes before it is dropped."""
        while True:
            while self.later:
                message = self.later.pop(0)
                if isinstance(message, kind):
                    return message
            self.later += self.delivery().messages

    def seal(self, *messages):
        """Return the next frame as it goes on the line."""
        return with_length(self.session.seal(messages).octets())

    def send(self, *messages):
        """Send messages as one frame."""
        with self._sending:
            self.send_octets(self.seal(*messages))

    def send_octets(self, octets):
        """Send octets as they are."""
        try:
            with self._using:
                self.line.sendall(octets)
        except (ssl.SSLError, OSError) as error:
            raise Gone from error

    def welcome(self, *, heartbeat=500, dead=LONG, nodes=None, hello=None):
        """Answer the greeting of the agent; return it."""
        hello = hello or self.delivery().messages[0]
        nodes = (self.node.node(),) if nodes is None else nodes
        self.send(Welcome(1, self.node.number, nodes, heartbeat, dead, hello.journal))
        return hello

    def beat(self, seconds=0.1):
        """Send a Ping again and again until `close` or `hold`."""
        self._beating.clear()

        def run():
            while not self._beating.wait(seconds):
                try:
                    self.send(Ping())
                except Gone:
                    return

        threading.Thread(target=run, daemon=True).start()

    def hold(self):
        """Send no Ping any more."""
        self._beating.set()

    def is_gone(self):
        """Wait until the agent closes the line; return whether it did in time."""
        try:
            while True:
                self.delivery()
        except Gone:
            return True
        except TimeoutError:
            return False

    def close(self):
        """Close the line as a server that stops does."""
        self._beating.set()
        self.line.close()


class WireServer:
    """Listens as a node does; `accept` waits for the next line of the agent.

    ``seat`` is the identity and the address of a node whose place it takes.
    """

    def __init__(self, folder, *, number=1, agents=(), highest=None, alpn="pki-hsm/1", seat=None):
        self.number = number
        own = None if seat else make_identity(folder, f"n-{number}", clock.now(), clock.entropy)
        self.identity, bind = seat or (own, ("127.0.0.1", 0))
        self.now = clock.now_ms
        self._agents = [agent.certificate for agent in agents]
        self._frame_keys = {agent.certificate: agent.frame_public for agent in agents}
        self._context = self._tls(highest, alpn)
        self._listener = socket.create_server(bind)
        self._listener.settimeout(TIMEOUT)
        self.connections = []

    @property
    def address(self):
        """Where it listens."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def node(self, **other):
        """Return how agents know it."""
        known = {
            "number": self.number,
            "address": self.address,
            "pin": self.identity.pin,
            "frame_key": self.identity.frame_public,
        }
        return Node(**{**known, **other})

    def accept_plain(self):
        """Return the next connection before anything was said on it."""
        line, _ = self._listener.accept()
        line.settimeout(TIMEOUT)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def accept(self, frame_key=None):
        """Return the next line after TLS and the nonces."""
        line = self.accept_tls()
        certificate = line.getpeercert(binary_form=True) or b""
        connection = Connection(line, self)
        self.connections.append(connection)
        nonce = clock.entropy(32)
        connection.send_octets(with_length(nonce))
        theirs = receive_octets(connection.octets)
        verify = frame_verifier(frame_key or self._frame_keys[certificate])
        connection.identifier = session_id(nonce, theirs, self.identity.certificate, certificate)
        connection.session = Session(connection.identifier, self.identity.sign, verify, self._time)
        return connection

    def accept_enrolment(self, answer=None):
        """Take in the next agent, or send it this answer; return its Enroll and the line."""
        connection = self.accept(bytes(32))
        frame = Frame.of(receive_octets(connection.octets))
        enroll = from_map(decode(frame.payload)["m"][0])
        frame_verifier(enroll.frame_key)(SIGNATURE_LABEL + frame.payload, frame.signature)
        self.know(enroll.certificate, enroll.frame_key)
        connection.send(answer or Enrolled(enroll.agent, (self.node(),)))
        return enroll, connection

    def know(self, certificate, frame_key):
        """Let an agent have lines from now on."""
        self._agents.append(certificate)
        self._frame_keys[certificate] = frame_key
        self._context.load_verify_locations(cadata=certificate)

    def code(self, agent="vault-a", token=bytes(16), **other):
        """Return a code for an agent, as an operator carries it."""
        node = self.node(**other)
        return EnrollmentCode(agent, token, (node.address,), (node.pin,), (node.frame_key,)).text()

    def accept_tls(self):
        """Return the next connection after the handshake of TLS."""
        plain = self.accept_plain()
        try:
            return self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            raise

    def close(self):
        """Close everything."""
        self._listener.close()
        for connection in self.connections:
            connection.close()

    def _time(self):
        return self.now()

    def _tls(self, highest, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if highest is None:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        else:
            context.maximum_version = highest
        context.num_tickets = 0
        context.set_alpn_protocols([alpn])
        context.load_cert_chain(str(self.identity.file))
        context.verify_mode = ssl.CERT_OPTIONAL
        # Anchors are looked up by subject, and the keys of an agent all have the same one.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for certificate in self._agents:
            context.load_verify_locations(cadata=certificate)
        return context


@contextmanager
def wire_server(folder, **options):
    """Run a node for a block."""
    server = WireServer(folder, **options)
    try:
        yield server
    finally:
        server.close()
