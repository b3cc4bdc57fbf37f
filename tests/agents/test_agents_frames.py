"""Every frame that is not the next sound one ends the line, is counted and audited."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.wire.codec import from_map
from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.frames import LARGEST_FRAME, SIGNATURE_LABEL, Frame, receive_octets, with_length
from hsm_agent.wire.messages import (
    Goodbye,
    Hello,
    Key,
    Mark,
    Ping,
    Pong,
    Signed,
    Store,
    Welcome,
)
from hsm_agent.wire.session import FRAME_LIFE, seal
from pikaserver.testing.damage import altered
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_line import FakeLine, LineEnded
from pikaserver.testing.patience import until

PONG = Pong(1, 0, Mark(0, bytes(32)))


@pytest.fixture
def agent(site):
    """An agent that is known, without a line yet."""
    return site.agent("vault-a", "issuing", connect=False)


@pytest.fixture
def line(site, agent):
    """A line that was greeted."""
    raw = agent.dial()
    raw.send(agent.hello())
    (welcome,) = raw.receive().messages
    assert isinstance(welcome, Welcome)
    until(lambda: site.office.lines.get("vault-a"), "the line")
    yield raw
    raw.close()


def ends(site, line, reason="frame"):
    """The line ends within a moment, with one complaint of that kind, and nothing is signed."""
    words = line.last_words()
    until(lambda: site.office.complaints.counts()[reason] == 1, f"a complaint about {reason}")
    until(lambda: not site.office.lines.present(), "the end of the line")
    until(lambda: [one for one in site.server.audit.lines if one[0] == "agent.refused"])
    assert reason == site.server.audit.lines[-1][2]["reason"]
    assert [] == site.history()
    return [word for word in words if isinstance(word, Goodbye)]


def resigned(agent, frame, change):
    """Return a frame whose payload was changed and signed again with the agent's key."""
    payload = cbor2.loads(frame.payload)
    change(payload)
    octets = cbor2.dumps(payload, canonical=True)
    return Frame(octets, agent.identity.frame_key.sign(SIGNATURE_LABEL + octets))


def test_an_altered_frame_ends_the_line(site, line):
    """One bit of the payload, and the signature does not hold."""
    frame = line.seal(PONG)

    line.send_frame(replace(frame, payload=altered(frame.payload)))

    (goodbye,) = ends(site, line)
    assert b"signature" in goodbye.why


def test_a_replayed_frame_ends_the_line(site, line):
    """Its number was there before."""
    frame = line.seal(PONG)
    line.send_frame(frame)

    line.send_frame(frame)

    (goodbye,) = ends(site, line)
    assert b"frame 2 where 3 was to come" == goodbye.why


def test_frames_out_of_order_end_the_line(site, line):
    """Nothing is skipped and nothing is resumed."""
    line.seal(PONG)

    line.send_frame(line.seal(PONG))

    (goodbye,) = ends(site, line)
    assert b"frame 3 where 2 was to come" == goodbye.why


def test_a_frame_of_another_connection_ends_the_line(site, agent):
    """Frames are bound to their TLS connection: the same keys, another session."""
    other = agent.dial()
    other.send(agent.hello())
    frame = other.seal(PONG)
    until(lambda: site.office.lines.get("vault-a"))
    other.close()
    until(lambda: not site.office.lines.present())
    fresh = agent.dial()
    fresh.send(agent.hello())
    until(lambda: site.office.lines.get("vault-a"))

    fresh.send_frame(frame)

    (goodbye,) = ends(site, fresh)
    assert b"a frame of another session" == goodbye.why
    fresh.close()


def test_our_own_frame_sent_back_ends_the_line(site, line):
    """It was signed with the server's key, not with the agent's."""
    sign = site.office.identity.sign

    line.send_frame(seal(line.identifier, 2, site.office.now(), [PONG], sign))

    ends(site, line)


def test_a_frame_of_16_mib_and_one_octet_is_not_even_read(site, line):
    """The length alone ends the line."""
    line.send_octets((LARGEST_FRAME + 1).to_bytes(4, "big"))

    (goodbye,) = ends(site, line)
    assert b"16777217" in goodbye.why


def test_an_enrolment_larger_than_16_kib_is_not_read(site, agent):
    """Somebody unknown may not fill the memory."""
    raw = FakeLine(agent.nodes[0], agent.identity, agent.now_ms, known=False)
    raw.exchange_nonces(bytes(32))

    raw.send_octets((16 * 1024 + 1).to_bytes(4, "big"))

    ends(site, raw)
    raw.close()


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_clock_that_is_60_seconds_off_ends_the_line(site, agent, seconds):
    """Both directions; the sentence names the clock."""
    off = FakeAgent("vault-a", clock=lambda: site.server.clock() + timedelta(seconds=seconds))
    off.identity.remove()
    off.identity, off.nodes = agent.identity, agent.nodes
    raw = off.dial()

    raw.send(off.hello())

    payload = decode(Frame.of(receive_octets(raw.receive_octets)).payload)
    goodbye = from_map(payload["m"][0])
    assert b"clock: a frame that is 60000 ms away" == goodbye.why
    until(lambda: site.office.complaints.counts()["frame"] == 1)
    raw.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda payload: payload.update(sid=bytes(32)), id="session"),
        pytest.param(lambda payload: payload.update(seq=payload["seq"] + 1), id="number"),
        pytest.param(lambda payload: payload.update(seq=0), id="number"),
        pytest.param(lambda payload: payload.update(ts=payload["ts"] - 31_000), id="time"),
        pytest.param(lambda payload: payload.update(exp=payload["ts"] - 1), id="expiry"),
        pytest.param(lambda payload: payload.update(m=[]), id="no messages"),
        pytest.param(lambda payload: payload.update(m=payload["m"] * 65), id="too many"),
        pytest.param(lambda payload: payload.update(more=1), id="unknown field"),
        pytest.param(lambda payload: payload.pop("exp"), id="missing field"),
        pytest.param(lambda payload: payload.update(seq="2"), id="wrong type"),
        pytest.param(lambda payload: payload.update(m=[1]), id="no map"),
        pytest.param(lambda payload: payload["m"][0].pop("t"), id="no type"),
        pytest.param(lambda payload: payload["m"][0].update(t="pongg"), id="unknown type"),
        pytest.param(lambda payload: payload["m"][0].update(x=1), id="unknown in a message"),
        pytest.param(lambda payload: payload["m"][0].pop("of"), id="missing in a message"),
        pytest.param(lambda payload: payload["m"][0].update(of=b"1"), id="wrong type in a message"),
        pytest.param(
            lambda payload: payload["m"][0].update(waiting=True), id="a truth for a number"
        ),
        pytest.param(lambda payload: payload["m"][0].update(waiting=-1), id="a number below zero"),
        pytest.param(lambda payload: payload["m"][0].update(waiting=None), id="null"),
        pytest.param(lambda payload: payload["m"][0].update(waiting=1.5), id="a float"),
        pytest.param(
            lambda payload: payload["m"][0].update(waiting=cbor2.CBORTag(4711, 1)), id="a tag"
        ),
        pytest.param(lambda payload: payload["m"][0].update(waiting=1 << 70), id="a big number"),
        pytest.param(lambda payload: payload["m"][0].update(t="p" * 1025), id="a long text"),
        pytest.param(
            lambda payload: payload["m"][0].update(waiting=[[[[[[[[[1]]]]]]]]]), id="depth"
        ),
    ],
)
def test_a_signed_frame_with_wrong_content_ends_the_line(site, agent, line, change):
    """Even the agent's own key does not make it right."""
    line.send_frame(resigned(agent, line.seal(PONG), change))

    ends(site, line)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x9f\x41a\x41b\xff",
        encode([b"payload"]),
        encode([b"payload", "signature"]),
        encode([b"payload", b"signature", b"more"]),
        encode([b"payload", bytes(64)]),
        encode([b"a", bytes(64)]) + b"\0",
        b"\x82\x58\x01a\x58\x40" + bytes(64),
        b"\xbf" * 1000,
        b"\xff",
    ],
)
def test_octets_that_are_no_frame_end_the_line(site, line, octets):
    """Indefinite lengths, other shapes, lengths that are not the shortest, deep nesting."""
    line.send_octets(len(octets).to_bytes(4, "big") + octets)

    ends(site, line)


@pytest.mark.parametrize(
    "payload",
    [
        b"\xa2\x61a\x01\x61a\x02",
        cbor2.dumps({"sid": bytes(32)}),
        b"\xd8\x2a\xa0",
        b"\xbf\x61a\x01\xff",
        b"\x81" * 50,
        b"",
    ],
)
def test_signed_octets_that_are_no_payload_end_the_line(site, agent, line, payload):
    """Duplicate keys, tags, indefinite maps, depth: refused after the signature held."""
    line.send_frame(Frame(payload, agent.identity.frame_key.sign(SIGNATURE_LABEL + payload)))

    ends(site, line)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), where=st.sampled_from("ps"))
def test_no_frame_with_one_wrong_bit_gets_through(site, agent, place, bit, where):
    """Any bit of payload or signature; each time the door opens again for a sound line."""
    raw = agent.dial()
    raw.send(agent.hello())
    raw.receive()
    frame = raw.seal(PONG)
    octets = bytearray(frame.payload if where == "p" else frame.signature)
    octets[place % len(octets)] ^= 1 << bit
    before = site.office.complaints.counts()["frame"]

    wrong = {"payload": bytes(octets)} if where == "p" else {"signature": bytes(octets)}
    raw.send_frame(replace(frame, **wrong))

    raw.last_words()
    until(lambda: site.office.complaints.counts()["frame"] == before + 1)
    raw.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"versions": (2, 3)}, b"speaks version 1"),
        ({"agent": "vault-b"}, b"another name"),
        ({"keys": (Key("issuing", "ec-p256", b"spki", (), "ready"),)}, b"STORE/LABEL"),
        ({"keys": (Key("a/b", "ec-p256", b"spki", (), "ready"),)}, b"cannot be read"),
        ({"stores": (Store("", "software", "ready", ()),)}, b"proper name"),
        ({"stores": (Store("a", "x" * 40, "ready", ()),)}, b"proper name"),
        ({"stores": (Store("a", "b", "ready", ()),) * 2}, b"twice"),
        ({"stores": (Store("a\x00", "b", "ready", ()),)}, b"proper name"),
    ],
)
def test_a_hello_that_does_not_fit_ends_the_line(site, agent, change, why):
    """The version, the name, and everything that is announced is looked at."""
    raw = agent.dial()

    raw.send(replace(agent.hello(), **change))

    (goodbye,) = ends(site, raw)
    assert why in goodbye.why
    raw.close()


@pytest.mark.parametrize("messages", [(PONG,), (PONG, PONG), (Ping(),)])
def test_another_first_message_ends_the_line(site, agent, messages):
    """A line begins with one hello."""
    raw = agent.dial()

    raw.send(*messages)

    ends(site, raw)
    raw.close()


def test_what_no_agent_says_ends_the_line(site, agent, line):
    """Two hellos, for instance, or what only a server says."""
    line.send(agent.hello())

    ends(site, line)


def test_an_answer_that_nobody_asked_for_is_ignored(site, line):
    """It may be late: whoever asked has gone."""
    line.send(Signed(bytes(16), bytes(32), b"signature", Mark(1, bytes(32))))
    line.send(PONG)

    assert any(isinstance(one, Ping) for _ in range(3) for one in line.receive().messages)
    assert 0 == sum(site.office.complaints.counts().values())


def test_complaints_do_not_fill_the_trail(site, monkeypatch):
    """Ten lines a minute; the next one counts what was passed over."""
    for _ in range(15):
        site.office.complaints.add("frame", "again")
    audited = [one for one in site.server.audit.lines if one[0] == "agent.refused"]
    assert 10 == len(audited)

    monkeypatch.setattr("pikaserver_agents.complaints.PERIOD", -1.0)
    site.office.complaints.add("pin", "once more", address="192.0.2.1")

    assert 5 == site.server.audit.lines[-1][2]["passed_over"]
    assert 16 == sum(site.office.complaints.counts().values())


def test_a_frame_that_trickles_ends_the_line(site, agent, monkeypatch):
    """Each octet is a sign of life; the frame is due all the same."""
    monkeypatch.setattr("pikaserver_agents.line.FRAME_SECONDS", 0.4)
    raw = agent.dial()
    raw.send(agent.hello())
    raw.receive()
    stop = threading.Event()

    def trickle():
        for octet in with_length(bytes(1000)):
            if stop.wait(0.02):
                return
            with suppress(LineEnded):
                raw.send_octets(bytes([octet]))

    thread = threading.Thread(target=trickle)
    thread.start()
    until(lambda: site.office.complaints.counts()["slow"] == 1, "a complaint")
    stop.set()
    thread.join()
    raw.close()
    assert [] == site.history()


def test_frames_expire(site, agent, line):
    """A frame that lay about for a minute is of no use, whatever the clocks say."""
    frame = line.seal(PONG)
    payload = decode(frame.payload)

    assert payload["exp"] - payload["ts"] == FRAME_LIFE
    site.server.clock.advance(timedelta(minutes=2))
    line.send_frame(frame)

    until(lambda: site.office.complaints.counts()["frame"] == 1)
    assert isinstance(agent.hello(), Hello)
