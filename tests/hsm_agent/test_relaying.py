"""Relayed frames: of nodes without a line; each counts once, and the answer fits it alone."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.service.line_facts import LineFacts
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL, Frame
from hsm_agent.wire.messages import (
    JournalLines,
    JournalRead,
    Ping,
    Refused,
    Relayed,
    Sign,
    Signed,
)
from hsm_agent.wire.session import read, relay_session_id, seal
from tests.hsm_agent.authenticators import raw_public
from tests.hsm_agent.relay_side import relay_side
from tests.hsm_agent.service_side import WHY
from tests.hsm_agent.structures_to_sign import leaf_tbs


@pytest.fixture
def side(tmp_path):
    with relay_side(tmp_path) as made:
        yield made


def refused(side, answer, code):
    assert isinstance(answer, Refused), answer
    assert code == answer.code
    line = side.lines("refused")[-1]
    assert (code, "relay", "relay") == (line["code"], line["asked"], line["way"])
    return answer.why.decode()


def test_a_node_without_a_line_gets_its_signature(side):
    """The frame goes through another node, which can neither read more nor change anything."""
    key = side.authority()
    request = Sign(bytes(16), key, "ecdsa-sha256", leaf_tbs(side.clock()), side.clock() + 1000, WHY)

    answer = side.relay(side.frame([request]))

    assert isinstance(answer, Relayed)
    sequence, [signed] = side.opened(answer.frame)
    assert isinstance(signed, Signed)
    assert 1 == sequence
    relay, sign = side.lines("relay", "sign")
    assert (side.frame_public.hex(), 1, 2, "relay") == (
        relay["asking"],
        relay["sequence"],
        relay["node"],
        relay["way"],
    )
    assert (2, "relay") == (sign["node"], sign["way"])


def test_many_requests_of_one_frame_are_answered_in_order(side):
    """As over a line."""
    requests = [JournalRead(bytes([number]) * 16, 1, 1) for number in range(5)]

    _, answers = side.opened(side.relay(side.frame(requests)).frame)

    assert [one.id for one in requests] == [one.id for one in answers]
    assert all(isinstance(one, JournalLines) for one in answers)


def test_a_frame_that_came_before_is_refused(tmp_path):
    """Also after a restart, also out of order; a number that was left out may still come."""
    with relay_side(tmp_path) as side:
        frames = {number: side.frame(number=number) for number in (1, 2, 5, 4)}
        for frame in frames.values():
            assert isinstance(side.relay(frame), Relayed)
        for frame in frames.values():
            assert "came before" in refused(side, side.relay(frame), "malformed")
    with relay_side(tmp_path) as side:
        assert "came before" in refused(side, side.relay(frames[5]), "malformed")
        assert isinstance(side.relay(side.frame(number=3)), Relayed)


def test_a_frame_of_nobody_is_refused(side):
    """A node that the agent does not know, or a key that is not that node's."""
    frame = side.frame()

    assert "none that this agent knows" in refused(side, side.relay(frame, node=9), "malformed")
    assert "does not hold" in refused(side, side.relay(frame, node=1), "malformed")
    assert [] == side.lines("relay")


def test_a_late_frame_is_refused(side):
    """A queue of a stopped node, or a replay that waited."""
    frame = side.frame()
    side.clock.go(seconds=31)

    refused(side, side.relay(frame), "expired")
    assert [] == side.lines("relay")


def test_a_line_that_fell_silent_relays_no_signature(side):
    """The lease of the line that brings the frame counts for what it brings."""
    key = side.authority()
    request = Sign(bytes(16), key, "ecdsa-sha256", leaf_tbs(side.clock()), side.clock() + 1000, WHY)
    silent = LineFacts(1, "line", lambda: False)

    _, [answer] = side.opened(side.relay(side.frame([request]), line=silent).frame)

    assert "expired" == answer.code
    assert [] == side.store.signed


def test_a_frame_of_another_session_is_refused(side):
    """Meant for another agent, or reflected."""
    other = relay_session_id(side.frame_public, bytes(32))
    frame = seal(other, 1, side.clock(), [JournalRead(bytes(16), 1, 1)], side.frame_key.sign)

    assert "another session" in refused(side, side.relay(frame.octets()), "malformed")
    answer = side.relay(side.frame()).frame
    assert "does not hold" in refused(side, side.relay(answer), "malformed")


def test_only_requests_are_relayed(side):
    """A Ping would renew nobody's lease."""
    assert "requests" in refused(side, side.relay(side.frame([Ping()])), "malformed")


def test_a_number_that_cannot_be_journaled_answers_nothing(side):
    """Or the frame could come again after a crash."""
    frame = side.frame()
    side.journal.close()

    answer = side.relay(frame)

    assert ("journal", True) == (answer.code, answer.retry)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 1 << 16), st.integers(1, 255))
def test_no_changed_frame_is_answered(side, place, change):
    """Any one octet."""
    octets = bytearray(side.frame())
    octets[place % len(octets)] ^= change

    assert isinstance(side.relay(bytes(octets)), Refused)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=100))
def test_no_octets_make_relaying_fail(side, octets):
    """Signed or not."""
    signed = Frame(octets, side.frame_key.sign(SIGNATURE_LABEL + octets)).octets()

    assert isinstance(side.relay(octets), Refused)
    assert isinstance(side.relay(signed), Refused)


def test_the_answer_is_for_who_asked(side):
    """Another node's key opens another session."""
    answer = Frame.of(side.relay(side.frame()).frame)
    side.identity.frame_key.public_key().verify(answer.signature, SIGNATURE_LABEL + answer.payload)
    other = Ed25519PrivateKey.generate()
    session = relay_session_id(raw_public(other), side.identity.frame_public)

    with pytest.raises(WireError, match="another session"):
        read(answer, session, side.clock())
