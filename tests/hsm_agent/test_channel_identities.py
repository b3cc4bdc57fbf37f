"""Keys of the lines: which ones are shown, and how new ones take the place of the old."""

import threading

import pytest

from hsm_agent import clock
from hsm_agent.channel.faults import NotKnownThere
from hsm_agent.channel.greeting import Surroundings
from hsm_agent.faults import Unavailable
from hsm_agent.identity.identities import Identities
from hsm_agent.identity.identity import (
    load_identity,
    load_next_identity,
    make_identity,
    make_next_identity,
)
from hsm_agent.places import Place
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Drain, Pong, Relay, Relayed, Signed
from pikaserver.testing.patience import SECONDS
from tests.hsm_agent.agent_side import AgentSide, sign_request
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / "agent")
    make_identity(place.identity, "vault-a", clock.now(), clock.entropy)
    return place


@pytest.fixture
def identities(place):
    return Identities(place, "vault-a", Surroundings(clock.now_ms, clock.entropy, SECONDS))


def dial(identities, node):
    """Dial while the node takes one line after the other; return the agent's end."""
    lines = []
    taking = threading.Thread(target=take, args=(node, lines), daemon=True)
    taking.start()
    line = identities.dial(node.node())
    taking.join(SECONDS)
    assert lines
    return line


def refuse(node):
    with pytest.raises(OSError, match="certificate"):
        node.accept()


def take(node, lines):
    while not lines:
        try:
            lines.append(node.accept())
        except OSError:
            continue  # a key that this node does not know


def test_a_rotation_that_was_cut_short_is_brought_to_its_end(tmp_path, place, identities):
    """The server took the new keys, and the agent died before it heard so."""
    following = make_next_identity(place.identity, "vault-a", clock.now(), clock.entropy)
    node = WireServer(tmp_path / "node", agents=[following])

    line = dial(identities, node)

    assert following.pin == identities.present().pin == load_identity(place.identity).pin
    assert load_next_identity(place.identity) is None
    line.stream.close()
    node.close()


def test_new_keys_that_the_server_never_saw_do_not_count(tmp_path, place, identities):
    """The old ones are tried first, and go on."""
    present = load_identity(place.identity)
    make_next_identity(place.identity, "vault-a", clock.now(), clock.entropy)
    node = WireServer(tmp_path / "node", agents=[present])

    line = dial(identities, node)

    assert present.pin == identities.present().pin
    line.stream.close()
    node.close()


def test_keys_that_the_server_forgot_are_refused(tmp_path, identities):
    """A retired agent does not come back with whatever it finds."""
    stranger = make_identity(tmp_path / "other", "other", clock.now(), clock.entropy)
    node = WireServer(tmp_path / "node", agents=[stranger])
    taking = threading.Thread(target=refuse, args=(node,))
    taking.start()

    with pytest.raises(NotKnownThere):
        identities.dial(node.node())

    taking.join()
    node.close()


def test_a_rotation_without_an_answer_changes_nothing(place, identities):
    """Whatever was made waits, and is tried only if the old keys are refused."""
    before = identities.present()

    with pytest.raises(Unavailable):
        identities.rotate(lambda *_: False)

    assert before.pin == identities.present().pin == load_identity(place.identity).pin


def test_a_rotation_counts_once_the_server_said_so(place, identities):
    """What was registered is what is used."""
    sent = []

    def register(enroll, _):
        sent.append(enroll)
        return True

    promoted = identities.rotate(register)

    assert [b""] == [enroll.token for enroll in sent]
    assert sent[0].certificate == promoted.certificate
    assert promoted.pin == identities.present().pin == load_identity(place.identity).pin


@pytest.fixture
def side(tmp_path):
    side = AgentSide(tmp_path / "side")
    yield side
    side.close()


def test_a_relayed_frame_is_answered_on_the_line_that_brought_it(tmp_path, side):
    """Its answer goes back to the node that carried it."""
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.relayed = lambda relay, _: Relayed(relay.id, b"answer of " + relay.frame)
    side.lines.start([node.node()])
    line = node.accept()
    line.welcome()

    line.send(Relay(b"i" * 16, 2, b"a frame"))

    assert Relayed(b"i" * 16, b"answer of a frame") == line.receive(Relayed)
    node.close()


def test_a_line_that_is_dialled_again_first_answers_what_it_owes(tmp_path, side):
    """Rotation loses no request."""
    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.lines.start([node.node()])
    line = node.accept()
    line.welcome()
    side.gate.clear()
    line.send(sign_request(1))
    line.beat()
    while not line.receive(Pong).waiting:
        pass
    redialling = threading.Thread(target=side.lines.redial)
    redialling.start()
    line.receive(Drain)

    side.gate.set()
    signed = line.receive(Signed)
    again = node.accept()
    again.welcome()
    redialling.join()

    assert sign_request(1).id == signed.id
    node.close()


def test_a_relay_that_cannot_be_answered_is_no_end_of_the_line(tmp_path, side):
    """One request that fails inside takes nothing else with it."""

    def fail(*_):
        raise WireError("whatever")

    node = WireServer(tmp_path / "node", agents=[side.identity])
    side.relayed = fail
    side.lines.start([node.node()])
    line = node.accept()
    line.welcome()

    line.send(Relay(b"i" * 16, 2, b"a frame"), sign_request(1))

    assert sign_request(1).id == line.receive(Signed).id
    node.close()
