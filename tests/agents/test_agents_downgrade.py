"""Nobody who broke the classical keys gets a line under which ML-DSA is pinned."""

import threading
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.channel import greeting
from hsm_agent.channel.faults import NotReached, WrongServer
from hsm_agent.channel.greeting import open_line
from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.identity.identity import Identity, load_identity, make_identity
from hsm_agent.wire.channel_kinds import VERSION_1, ChannelKinds
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Enroll, Goodbye, Hello, Node, Ping, Welcome
from hsm_agent.wire.openings import AgentOpening
from hsm_agent.wire.session import seal
from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.testing.fake_agent_line import FakeIdentity, FakeLine, LineEnded
from pikaserver.testing.patience import until
from pikaserver_agents.enrollment import Way
from pikaserver_agents.node_identities import NodeIdentities
from pikaserver_agents.private_keys import TlsLibrary
from tests.agents.real_agents import RealAgent, RealSite
from tests.hsm_agent.wire_server import WireServer

KIND = "ml-dsa-44"


@pytest.fixture
def site():
    """A node whose newest frame key is ML-DSA."""
    site = RealSite(frame_key=KIND)
    yield site
    site.close()


@pytest.fixture
def agent(site, tmp_path):
    """An agent that is enrolled there, with an ML-DSA frame key, without a line."""
    code = site.code()
    site.look()
    agent = RealAgent(tmp_path / "vault-a", code, ChannelKinds(frames=KIND))
    yield agent
    agent.close()


def identity(agent):
    return load_identity(agent.place.identity)


@pytest.fixture
def dial(agent):
    """Dial a node, the one that is pinned unless another is given; lines end with the test."""
    lines = []

    def line(node=None, with_=None):
        node = node or agent.nodes()[0]
        lines.append(open_line(node, with_ or identity(agent), agent.around, known=True))
        lines[-1].stream.set_timeout(5)
        return lines[-1]

    yield line
    for one in lines:
        one.stream.close()


def hello(agent, **fields):
    told = agent.fake.hello()
    known = {name: getattr(told, name) for name in told.__slots__}
    return Hello(**{**known, "versions": (1, 2), **fields})


def complaint(site, reason="frame"):
    """Wait for the one complaint, and see that nothing was signed."""
    until(lambda: site.office.complaints.counts()[reason], f"a complaint about {reason}")
    site.office.scribe.flush()
    with site.server.database.reading() as connection:
        assert not connection.exec_driver_sql("SELECT count(*) FROM agents_history").scalar()


def test_a_node_that_speaks_version_1_is_left(agent, tmp_path, dial):
    """Whoever stole its TLS key and speaks the old protocol hears nothing of the agent."""
    node = agent.nodes()[0]
    thief = WireServer(tmp_path / "thief", agents=[identity(agent)])
    stolen = Node(1, thief.address, thief.identity.pin, node.frame_key)
    heard = []

    def listen():
        with thief.accept_tls() as line:
            heard.append(line.recv(1))

    taking = threading.Thread(target=listen)
    taking.start()

    with pytest.raises(WrongServer, match="speaks version 1"):
        dial(stolen)

    taking.join(10)
    assert [b""] == heard
    thief.close()


def test_a_node_under_its_older_key_is_left(site, agent, dial):
    """A node without the pinned key says so; nothing of the agent's is told after that."""
    (pinned,) = agent.nodes()
    (older, _) = site.office.directory.view().keys_of(1)
    mixed = Node(1, pinned.address, older.node.pin, pinned.frame_key)

    with pytest.raises(WrongServer, match="does not have the frame key"):
        dial(mixed)

    complaint(site)


def test_a_node_that_shows_another_key_than_it_was_asked_for_is_left(agent, monkeypatch, dial):
    """Its hash is pinned, with the kind in it: an Ed25519 key has another pin, whatever it is."""
    monkeypatch.setattr("pikaserver_agents.opening.frame_pin", lambda _: agent_pin)
    (pinned,) = agent.nodes()
    agent_pin = b"ml-dsa-44:" + bytes(32)
    other = Node(1, pinned.address, pinned.pin, agent_pin)

    with pytest.raises(WrongServer, match="shows another frame key"):
        dial(other)


@pytest.mark.parametrize("kind", ["ed25519", KIND])
def test_a_node_that_has_the_tls_key_alone_hears_no_secret(site, agent, dial, kind):
    """It shows the right frame key, which is no secret, and cannot sign with it."""
    (*_, newest) = site.office.identities.present()
    forged = replace(newest, frame_key=new_frame_key(kind))
    site.office.identities = _Forged(site.office.identities, forged)
    site.office.listener.stop()
    site.office.listener.start()
    (pinned,) = agent.nodes()
    address = f"127.0.0.1:{site.office.listener.works.door.port}"

    with pytest.raises(WrongServer, match="does not prove the frame key"):
        dial(Node(1, address, pinned.pin, pinned.frame_key))


def test_frames_of_a_node_under_another_key_are_refused(site, dial, agent):
    """Whoever gets into the line after the proof: the pinned key verifies, and nothing else."""
    line = dial()
    line.send(hello(agent))
    for kind in ("ed25519", KIND, "ml-dsa-65"):
        frame = seal(bytes(32), 1, agent.around.now_ms(), [Ping()], new_frame_key(kind).sign)

        with pytest.raises(WireError, match="signature does not hold"):
            line._session.open(frame)  # noqa: SLF001 - as if it came on the line

    assert isinstance(line.receive().messages[0], Welcome)
    assert site.known() == 1


class _Forged(NodeIdentities):
    """Has one identity that was tampered with."""

    def __init__(self, true, forged):
        self.__dict__.update(true.__dict__)
        self._forged = forged

    def present(self):
        return [self._forged]


@pytest.mark.parametrize("kind", ["ed25519", KIND, "ml-dsa-65"])
def test_frames_of_an_agent_that_signs_with_another_key_are_refused(site, agent, kind, dial):
    """Whoever has the agent's TLS key only: the pinned frame key verifies, and nothing else."""
    true = identity(agent)
    line = dial(with_=Identity(true.file, true.certificate, new_frame_key(kind)))

    line.send(hello(agent))

    (goodbye,) = line.receive().messages
    assert isinstance(goodbye, Goodbye)
    assert b"signature" in goodbye.why
    complaint(site)


def test_an_agent_with_ml_dsa_does_not_come_by_version_1(site, agent):
    """It would be somebody else, who has its TLS key: an agent of version 1 has Ed25519."""
    ours = identity(agent)
    (older, _) = site.office.directory.view().keys_of(1)
    line = _line_of_version_1(agent, older.node, ours)

    with pytest.raises(LineEnded):
        line.receive()

    complaint(site)
    line.close()


def _line_of_version_1(agent, node, ours):
    fake = FakeIdentity(ours.file, ours.certificate, ours.frame_key)
    line = FakeLine(node, fake, agent.around.now_ms)
    line.exchange_nonces(bytes(32))
    line.send(hello(agent))
    return line


def test_an_altered_opening_is_not_the_one_that_was_answered(monkeypatch, dial):
    """Who takes ML-DSA out of what an agent can verify, on the way, gets no line."""
    exchanged = greeting._exchanged  # noqa: SLF001 - the one place between both sides

    def altered_on_the_way(stream, octets, largest):
        poorer = replace(AgentOpening.of(octets), abilities=VERSION_1)
        return exchanged(stream, poorer.octets(), largest)

    monkeypatch.setattr(greeting, "_exchanged", altered_on_the_way)

    with pytest.raises(WrongServer, match="does not prove"):
        dial()


def foreign_keys():
    """Return public keys that are none of ours, or written in a way that is none."""
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    good = written(new_frame_key("ml-dsa-65"))
    ed25519 = new_frame_key("ed25519").public_key()
    return {
        "rsa": rsa.generate_private_key(65537, 2048).public_key().public_bytes(*spki),
        "p-256": ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*spki),
        "ed448": ed448.Ed448PrivateKey.generate().public_key().public_bytes(*spki),
        "ed25519 in another form": ed25519.public_bytes(*spki),
        "ml-dsa without its kind": mldsa.MLDSA65PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.Raw, PublicFormat.Raw),
        "cut": good[:-1],
        "longer": good + b"\0",
        "of another length than its kind": good.replace(bytes([3, 18]), bytes([3, 19]), 1),
        "a pin": b"ml-dsa-65:" + bytes(32),
        "nothing": b"",
    }


@pytest.mark.parametrize("name", list(foreign_keys()))
def test_foreign_kinds_do_not_enrol(site, agent, name):
    """A frame key is 32 octets of Ed25519, or ML-DSA in its one form."""
    ours = identity(agent)
    foreign = foreign_keys()[name]
    message = Enroll(bytes(16), "vault-b", ours.certificate, foreign, "test", (1, 2))

    with pytest.raises(MalformedRequest):
        site.office.enrollments.enroll(message, Way(2))


def test_an_ml_dsa_frame_key_needs_version_2(site, agent):
    """Version 1 has no other kind than Ed25519."""
    ours = identity(agent)
    message = Enroll(bytes(16), "vault-b", ours.certificate, ours.frame_public, "test", (1, 2))

    with pytest.raises(MalformedRequest, match="version 1 knows no frame keys"):
        site.office.enrollments.enroll(message, Way(1))


def test_an_agent_whose_tls_key_cannot_be_verified_here_is_told_why(site, agent, monkeypatch):
    """Its line would not get through TLS; the sentence names the library."""
    theirs = make_identity(
        agent.place.folder / "other",
        "vault-b",
        site.server.clock(),
        agent.around.entropy,
        ChannelKinds("ml-dsa-65", "ml-dsa-65"),
    )
    monkeypatch.setattr("pikaserver_agents.enrollment.tls_library_here", TlsLibrary)
    message = Enroll(bytes(16), "vault-b", theirs.certificate, theirs.frame_public, "t", (1, 2))

    with pytest.raises(RequestRejected, match=r"OpenSSL 3\.5 or newer"):
        site.office.enrollments.enroll(message, Way(2))


def test_an_agent_that_asks_for_a_tls_key_that_is_none_is_turned_away(site, agent, dial):
    """The handshake ends; it tries again later, for the node may learn of the key yet."""
    (pinned,) = agent.nodes()

    with pytest.raises(NotReached):
        dial(Node(1, pinned.address, pinned.pin[::-1], pinned.frame_key))

    until(lambda: site.office.complaints.counts()["tls"])
