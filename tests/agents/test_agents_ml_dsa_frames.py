"""Frames that ML-DSA signed, altered in any way: none of them is read by the other side."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_agent.identity.channel_keys import new_frame_key, written
from hsm_agent.identity.identity import frame_verifier
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import FRAME_KINDS
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Mark, Ping, Pong
from hsm_agent.wire.session import MOST_MESSAGES, Session, seal

SESSION, NOW = bytes(32), 1_767_355_200_000
KINDS = [kind for kind in FRAME_KINDS if kind != "ed25519"]
KEYS = {kind: new_frame_key(kind) for kind in FRAME_KINDS}
PONG = Pong(1, 0, Mark(0, bytes(32)))
SEALED = {kind: seal(SESSION, 1, NOW, [PONG], key.sign).octets() for kind, key in KEYS.items()}
kinds = st.sampled_from(KINDS)


def opened(octets, kind):
    """Read the first frame of a session in which this kind is pinned."""
    session = Session(SESSION, bytes, frame_verifier(written(KEYS[kind])), lambda: NOW)
    return session.open(Frame.of(octets)).messages


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_frame_is_read_once(kind):
    """And it is longer than one of Ed25519 by the signature alone."""
    session = Session(SESSION, bytes, frame_verifier(written(KEYS[kind])), lambda: NOW)
    frame = Frame.of(SEALED[kind])

    assert (PONG,) == session.open(frame).messages

    with pytest.raises(WireError, match="frame 1 where 2"):
        session.open(frame)
    more = FRAME_KINDS[kind].signature_octets - FRAME_KINDS["ed25519"].signature_octets
    assert more + 1 == len(SEALED[kind]) - len(SEALED["ed25519"])


@given(kinds, st.integers(0, 1 << 16), st.integers(1, 255))
def test_no_octet_of_a_frame_may_change(kind, place, change):
    """Of payload, signature or the CBOR around them."""
    octets = bytearray(SEALED[kind])
    octets[place % len(octets)] ^= change

    with pytest.raises(WireError):
        opened(bytes(octets), kind)


@given(kinds, st.integers(0, 1 << 16), st.booleans())
def test_a_frame_that_was_cut_or_goes_on_is_refused(kind, place, cut):
    """At any place."""
    octets = SEALED[kind]
    place %= len(octets)

    with pytest.raises(WireError):
        opened(octets[:place] if cut else octets + octets[: place + 1], kind)


@given(kinds, st.binary(max_size=200), st.one_of(st.binary(max_size=5000), st.sampled_from(KINDS)))
@settings(max_examples=60)
def test_whatever_is_no_signature_of_the_pinned_key_is_refused(kind, payload, signature):
    """Before the payload is looked into: it need not be CBOR at all."""
    if isinstance(signature, str):
        signature = new_frame_key(signature).sign(payload)

    with pytest.raises(WireError):
        opened(encode([payload, signature]), kind)


@given(kinds, st.sampled_from(list(FRAME_KINDS)))
def test_a_frame_of_another_kind_is_refused(pinned, signed):
    """The same session, time and number; another key, of any kind, signed it."""
    octets = seal(SESSION, 1, NOW, [PONG], new_frame_key(signed).sign).octets()

    with pytest.raises(WireError, match="signature does not hold"):
        opened(octets, pinned)


def test_a_frame_without_its_label_is_refused():
    """ML-DSA signs what the label begins, so no other signature of the key is one of a frame."""
    frame = Frame.of(SEALED["ml-dsa-65"])
    bare = Frame(frame.payload, KEYS["ml-dsa-65"].sign(frame.payload))
    in_context = Frame(
        frame.payload, KEYS["ml-dsa-65"].sign(frame.payload, b"pikaserver-hsm-frame-v1\0")
    )

    for one in (bare, in_context):
        with pytest.raises(WireError, match="signature does not hold"):
            opened(one.octets(), "ml-dsa-65")


def test_many_messages_share_one_signature():
    """Sixty-four of them cost as much as one, which is what makes ML-DSA cheap under load."""
    octets = seal(SESSION, 1, NOW, [Ping()] * MOST_MESSAGES, KEYS["ml-dsa-44"].sign).octets()

    assert MOST_MESSAGES == len(opened(octets, "ml-dsa-44"))
    assert len(octets) < len(SEALED["ml-dsa-44"]) + 1000
