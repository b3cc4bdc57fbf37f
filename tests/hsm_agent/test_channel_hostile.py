"""What comes from the wrong side, or wrongly, gets nothing: no signature, and the line is cut."""

import ssl
from contextlib import ExitStack

import pytest

from hsm_agent import clock
from hsm_agent.identity.identity import make_identity
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.frames import LARGEST_FRAME, SIGNATURE_LABEL, Frame, with_length
from hsm_agent.wire.messages import Goodbye, Ping, Pong, Signed, Welcome
from hsm_agent.wire.session import seal
from tests.hsm_agent.agent_side import MARK, AgentSide, sign_request
from tests.hsm_agent.wire_server import Gone, WireServer


@pytest.fixture
def agent(tmp_path):
    side = AgentSide(tmp_path / "agent")
    yield side
    side.close()


@pytest.fixture
def server(tmp_path, agent):
    with ExitStack() as stack:

        def make(number=1, **options):
            options.setdefault("agents", [agent.identity])
            node = WireServer(tmp_path / f"node-{number}", number=number, **options)
            stack.callback(node.close)
            return node

        yield make


@pytest.fixture
def line(agent, server):
    """A line that works; what a test then does to it is the first thing that is wrong."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.welcome()
    line.send(Ping())
    line.receive(Pong)
    return line


def faults(agent):
    return [why for event, _, why in agent.reports if event == "line"]


def test_another_key_than_the_pinned_one_gets_not_one_octet(agent, server):
    """A man in the middle with a certificate of whatever authority learns nothing.

    The handshake does not even get so far that he learns who dialled.
    """
    node = server()
    agent.lines.start([node.node(pin=bytes(32))])
    plain = node.accept_plain()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(node.identity.file))
    context.set_alpn_protocols(["pki-hsm/1"])

    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_side=True)

    plain.close()
    node.accept_plain().close()
    assert f"sha256:{node.identity.pin.hex()}" in faults(agent)[0]
    assert "nothing was sent" in faults(agent)[0]


def test_tls_1_2_is_not_spoken(agent, server):
    """There is one version, and no way down from it."""
    node = server(highest=ssl.TLSVersion.TLSv1_2)
    agent.lines.start([node.node()])

    with pytest.raises(ssl.SSLError):
        node.accept()

    again = node.accept_plain()
    (view,) = agent.lines.views()
    again.close()
    assert "no TLS 1.3 there" in view.fault


def test_another_protocol_behind_the_right_key_is_not_served(agent, server):
    """The protocol is agreed on in the handshake."""
    node = server(alpn="h2")
    agent.lines.start([node.node()])

    with pytest.raises((Gone, ssl.SSLError, ConnectionError)):
        node.accept()

    again = node.accept_plain()
    (view,) = agent.lines.views()
    again.close()
    assert "pki-hsm/1" in view.fault or "no TLS 1.3" in view.fault


def test_a_server_that_does_not_know_the_agent_is_told_so_in_words(tmp_path, agent, server):
    """The operator reads what to do, not the words of a TLS library."""
    stranger = make_identity(tmp_path / "stranger", "other", clock.now(), clock.entropy)
    node = server(agents=[stranger])
    agent.lines.start([node.node()])

    with pytest.raises(ssl.SSLError):
        node.accept()

    again = node.accept_plain()
    (view,) = agent.lines.views()
    again.close()
    assert "know this agent's TLS key" in view.fault


def altered(line):
    frame = bytearray(line.seal(sign_request()))
    frame[40] ^= 1
    return bytes(frame)


def replayed(line):
    frame = line.seal(Ping())
    return frame + frame


def reordered(line):
    first, second = line.seal(Ping()), line.seal(sign_request())
    return second + first


def of_another_session(line):
    sign = line.node.identity.sign
    return with_length(seal(bytes(32), 3, clock.now_ms(), [sign_request()], sign).octets())


def of_another_key(line):
    stranger = line.node.stranger
    return with_length(
        seal(line.identifier, 3, clock.now_ms(), [sign_request()], stranger.sign).octets()
    )


def too_long(_):
    return (LARGEST_FRAME + 1).to_bytes(4, "big")


def empty(_):
    return bytes(4)


def hostile_cbor(line):
    sign = line.node.identity.sign
    payload = b"\x81" * 200_000
    return with_length(Frame(payload, sign(SIGNATURE_LABEL + payload)).octets())


def unknown_fields(line):
    sign = line.node.identity.sign
    payload = encode({"sid": bytes(32), "seq": 3, "more": 1})
    return with_length(Frame(payload, sign(SIGNATURE_LABEL + payload)).octets())


def an_agents_message(line):
    return line.seal(Pong(1, 1, MARK))


def a_welcome_without_nodes(line):
    return line.seal(Welcome(1, 1, (), 500, 1500, MARK))


HOSTILE = [
    altered,
    replayed,
    reordered,
    of_another_session,
    of_another_key,
    too_long,
    empty,
    hostile_cbor,
    unknown_fields,
    an_agents_message,
    a_welcome_without_nodes,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_frame_ends_the_line_and_nothing_is_signed(tmp_path, agent, line, make):
    """Nothing is skipped and resumed; it is reported, for the journal."""
    line.node.stranger = make_identity(tmp_path / "s", "x", clock.now(), clock.entropy)

    line.send_octets(make(line))

    assert line.is_gone()
    assert [] == agent.answered
    line.node.accept()
    assert 1 == len(faults(agent))


def test_a_frame_that_comes_back_to_its_sender_is_refused(agent, line):
    """The agent's own frame is signed by the agent, not by the node."""
    line.send(Ping())
    length = line.octets(4)
    frame = length + line.octets(int.from_bytes(length, "big"))

    line.send_octets(frame)

    assert line.is_gone()
    assert [] == agent.answered


def test_a_clock_that_is_a_minute_off_ends_the_line(agent, server):
    """Frames of another time are refused on this side too; the reason says clock."""
    node = server()
    node.now = lambda: clock.now_ms() - 60_000
    agent.lines.start([node.node()])
    line = node.accept()
    node.now = clock.now_ms
    hello = line.delivery().messages[0]
    node.now = lambda: clock.now_ms() - 60_000

    line.welcome(hello=hello)

    assert line.is_gone()
    node.accept()
    assert faults(agent)[0].startswith("clock: ")


@pytest.mark.parametrize(
    "first",
    [Ping(), Signed(bytes(16), bytes(32), b"", MARK)],
    ids=["ping", "signed"],
)
def test_a_line_that_does_not_begin_with_a_welcome_is_cut(agent, server, first):
    """No request is looked at before the versions are agreed."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.delivery()

    line.send(first)

    assert line.is_gone()


@pytest.mark.parametrize(
    "welcome",
    [
        Welcome(2, 1, (), 500, 1500, MARK),
        Welcome(1, 1, (), 500, 1500, MARK),
    ],
    ids=["version 2", "no nodes"],
)
def test_a_welcome_that_makes_no_sense_is_refused(agent, server, welcome):
    """A version that was not offered; a list without nodes."""
    node = server()
    agent.lines.start([node.node()])
    line = node.accept()
    line.delivery()

    line.send(welcome)

    assert line.is_gone()
    assert [node.node()] == list(agent.lines.nodes())


def test_a_short_nonce_ends_the_line(agent, server):
    """Both sides bring 32 octets to the session."""
    node = server()
    agent.lines.start([node.node()])
    tls = node.accept_tls()

    tls.sendall(with_length(bytes(31)))

    while tls.recv(64):
        pass
    tls.close()
    node.accept_plain().close()
    assert "a nonce of 31 octets" in faults(agent)[0]


def test_the_reason_of_a_goodbye_may_be_any_octets(agent, line):
    """It is shown to people, so it is made readable first."""
    line.send(Goodbye("bye", b"\xff\x00"))

    assert line.is_gone()
    line.node.accept()
    assert "the server said bye" in agent.lines.views()[0].fault
