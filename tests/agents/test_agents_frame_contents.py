"""Frames that are signed and say what no agent says: they end the line."""

from dataclasses import replace

import cbor2
import pytest

from hsm_agent.wire.encoding import encode
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import (
    Key,
    Mark,
    Ping,
    Signed,
    Store,
    Welcome,
)
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


def resigned(agent, frame, change):
    """Return a frame whose payload was changed and signed again with the agent's key."""
    payload = cbor2.loads(frame.payload)
    change(payload)
    octets = cbor2.dumps(payload, canonical=True)
    return Frame(octets, agent.identity.frame_key.sign(SIGNATURE_LABEL + octets))


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
