"""Dialling: straight, through a proxy, and the keys and nodes that it needs."""

import base64
import json
import socket
import threading

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as some

from hsm_agent import clock
from hsm_agent.channel.backoff import LONGEST, SHORTEST, Backoff
from hsm_agent.channel.dialling import dial
from hsm_agent.channel.faults import NotReached
from hsm_agent.channel.greeting import Surroundings, open_line
from hsm_agent.faults import Conflict, SettingsFault
from hsm_agent.identity.identity import (
    frame_verifier,
    load_identity,
    load_next_identity,
    make_identity,
    make_next_identity,
    pin_of,
    promote,
)
from hsm_agent.identity.nodes import host_and_port, read_nodes, write_nodes
from hsm_agent.settings.settings import Proxy
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Drain, Node
from pikaserver.testing.patience import SECONDS
from tests.hsm_agent.wire_server import WireServer


class ProxyServer:
    """A proxy that answers as a test says, and then passes everything on."""

    def __init__(self, answer=b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.request = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def _serve(self):
        line, _ = self._listener.accept()
        with line:
            while not self.request.endswith(b"\r\n\r\n"):
                self.request += line.recv(4096)
            line.sendall(self._answer)
            if b" 200 " not in self._answer:
                return
            host, _, port = self.request.split()[1].decode().rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port))) as target:
                threading.Thread(target=self._pass, args=(target, line), daemon=True).start()
                self._pass(line, target)

    @staticmethod
    def _pass(source, target):
        try:
            while octets := source.recv(65536):
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self):
        self._thread.join(SECONDS)
        self._listener.close()


@pytest.fixture
def identity(tmp_path):
    return make_identity(tmp_path / "agent", "vault-a", clock.now(), clock.entropy)


def test_a_line_goes_through_a_proxy(tmp_path, identity):
    """The proxy sees where to, and nothing of what is said."""
    node = WireServer(tmp_path / "node", agents=[identity])
    proxy = ProxyServer()
    accepted = []
    thread = threading.Thread(target=lambda: accepted.append(node.accept()))
    thread.start()
    around = Surroundings(clock.now_ms, clock.entropy, SECONDS, Proxy("127.0.0.1", proxy.port))

    line = open_line(node.node(), identity, around, known=True)
    thread.join()
    line.send(Drain())

    assert isinstance(accepted[0].receive(Drain), Drain)
    assert proxy.request.startswith(f"CONNECT {node.address} HTTP/1.1\r\n".encode())
    line.stream.close()
    node.close()
    proxy.close()


def test_a_proxy_gets_user_and_password_from_a_file(tmp_path):
    """The password stands in no settings."""
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    proxy = ProxyServer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with pytest.raises(NotReached, match="407 Proxy Authentication Required"):
        dial("node.example:1", SECONDS, Proxy("127.0.0.1", proxy.port, "agent", str(secret)))

    token = base64.b64encode(b"agent:s3cret")
    assert b"Proxy-Authorization: Basic " + token in proxy.request
    proxy.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n", b"x" * 20_000],
    ids=["nothing", "another protocol", "no code", "elsewhere", "endless"],
)
def test_a_proxy_that_makes_no_sense_is_told(answer):
    """In one sentence; nothing of the line was sent."""
    proxy = ProxyServer(answer)

    with pytest.raises(NotReached, match="proxy"):
        dial("127.0.0.1:9", SECONDS, Proxy("127.0.0.1", proxy.port))

    proxy.close()


@pytest.mark.parametrize("address", ["nowhere", ":1", "host:", "host:x", "host:70000", "host:-1"])
def test_an_address_that_is_none_is_told(address):
    """Such a node cannot be dialled."""
    with pytest.raises(NotReached, match="HOST:PORT"):
        dial(address, 1)


def test_a_port_where_nobody_listens_is_told():
    """With the address and the system's word."""
    with socket.socket() as holding:
        # It is bound, so that nobody else listens there, and does not listen.
        holding.bind(("127.0.0.1", 0))
        port = holding.getsockname()[1]

        with pytest.raises(NotReached, match=f"127.0.0.1 port {port}: Connection refused"):
            dial(f"127.0.0.1:{port}", SECONDS)


@given(some.text(max_size=60))
def test_addresses_are_read_or_refused(text):
    """No text raises; what is read has both halves."""
    found = host_and_port(text)

    assert found is None or (found[0] and 0 <= found[1] < 1 << 16)


def test_waits_grow_and_are_spread():
    """From 0.2 to 30 seconds; two agents that fall together do not come back together."""
    least, most = Backoff(bytes), Backoff(lambda octets: b"\xff" * octets)
    waits = [most.next_wait() for _ in range(20)]

    assert {SHORTEST} == {least.next_wait() for _ in range(20)}
    assert waits == sorted(waits)
    assert waits[0] < 2.1 * SHORTEST
    assert LONGEST - 0.01 < waits[-1] <= LONGEST
    most.reset()
    assert waits[0] == most.next_wait()


def test_an_identity_is_loaded_as_it_was_made(tmp_path, identity):
    """Same keys, same pin; the certificate is self-signed for thirty years."""
    again = load_identity(tmp_path / "agent")
    certificate = x509.load_der_x509_certificate(identity.certificate)

    assert identity.pin == again.pin == pin_of(identity.certificate)
    assert identity.frame_public == again.frame_public
    frame_verifier(again.frame_public)(b"x", identity.sign(b"x"))
    certificate.verify_directly_issued_by(certificate)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert 30 * 365 <= life.days < 30 * 365 + 3


@pytest.mark.usefixtures("identity")
def test_an_identity_is_made_once(tmp_path):
    """The keys of a registered agent are never overwritten."""
    with pytest.raises(Conflict, match="hsm-agent rotate"):
        make_identity(tmp_path / "agent", "vault-a", clock.now(), clock.entropy)


def test_new_keys_wait_beside_the_old_until_they_count(tmp_path, identity):
    """And then there is nothing left of the old."""
    folder = tmp_path / "agent"
    assert load_next_identity(folder) is None
    following = make_next_identity(folder, "vault-a", clock.now(), clock.entropy)
    assert following.pin == load_next_identity(folder).pin
    assert identity.pin == load_identity(folder).pin

    promoted = promote(folder)

    assert following.pin == promoted.pin == load_identity(folder).pin
    assert load_next_identity(folder) is None


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_damaged_identity_is_told(tmp_path, identity, text):
    """With the file's name."""
    identity.file.write_text(text)

    with pytest.raises(SettingsFault, match=r"keys\.pem is not what an enrolment wrote"):
        load_identity(tmp_path / "agent")


def test_keys_that_others_can_read_are_not_used(tmp_path, identity):
    """They may have been copied."""
    identity.file.chmod(0o640)

    with pytest.raises(SettingsFault, match="chmod 600"):
        load_identity(tmp_path / "agent")


@given(some.binary(max_size=100))
def test_no_octets_are_a_certificate_by_accident(octets):
    """Whatever a stranger shows."""
    with pytest.raises(WireError):
        pin_of(octets)


def test_nodes_are_read_as_they_were_written(tmp_path):
    """In their order."""
    nodes = (
        Node(2, "[::1]:8444", bytes(32), b"k" * 32),
        Node(1, "pki.example:8444", b"p" * 32, bytes(32)),
    )
    write_nodes(tmp_path, nodes)

    assert nodes == read_nodes(tmp_path)


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.text(max_size=9),
        lambda inner: some.lists(inner) | some.dictionaries(some.text(max_size=9), inner),
    )
)
def test_a_damaged_list_of_nodes_is_told(tmp_path_factory, value):
    """Whatever JSON it is."""
    folder = tmp_path_factory.mktemp("nodes")
    (folder / "nodes.json").write_text(json.dumps(value))
    (folder / "nodes.json").chmod(0o600)

    with pytest.raises(SettingsFault):
        read_nodes(folder)
