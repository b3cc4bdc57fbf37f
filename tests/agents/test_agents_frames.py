"""Every frame that is not the next sound one ends the line, is counted and audited."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.wire.codec import from_map
from hsm_agent.wire.encoding import decode
from hsm_agent.wire.frames import LARGEST_FRAME, Frame, receive_octets, with_length
from hsm_agent.wire.messages import (
    Hello,
    Welcome,
)
from hsm_agent.wire.session import FRAME_LIFE, seal
from pikaserver.testing.damage import altered
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_line import FakeLine, LineEnded
from pikaserver.testing.patience import until
from tests.agents.bad_frames import PONG, ends


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


def test_a_frame_that_trickles_ends_the_line(site, agent, monkeypatch):
    """Each octet is a sign of life; the frame is due all the same."""
    raw = agent.dial()
    raw.send(agent.hello())
    raw.receive()
    monkeypatch.setattr("pikaserver_agents.line.FRAME_SECONDS", 0.4)
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
