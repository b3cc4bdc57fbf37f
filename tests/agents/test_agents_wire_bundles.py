"""Bundles: frames that are carried by hand."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.wire import bundles
from hsm_agent.wire.bundles import Bundle
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import SIGNATURE_LABEL
from hsm_agent.wire.messages import JournalRead
from hsm_agent.wire.session import CLOCK_TOLERANCE, relay_session_id

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SESSION = relay_session_id(b"a" * 32, b"b" * 32)
ASK = JournalRead(bytes(16), 1, 7)
NOW = 1_767_355_200_000


def test_a_frame_in_a_bundle_lives_as_long_as_a_journey():
    """A relay frame is dead after a minute; a stick takes days, but not for ever."""
    frame = bundles.seal_for_bundle(SESSION, 7, NOW, [ASK], KEY.sign)
    KEY.public_key().verify(frame.signature, SIGNATURE_LABEL + frame.payload)

    later = bundles.read_from_bundle(frame, SESSION, NOW + 10 * CLOCK_TOLERANCE)

    assert (7, (ASK,)) == (later[0], later[1].messages)
    with pytest.raises(WireError, match=r"away|expired"):
        bundles.read_from_bundle(frame, SESSION, NOW + bundles.BUNDLE_LIFE + 1)
    with pytest.raises(WireError, match="another session"):
        bundles.read_from_bundle(frame, bytes(32), NOW)


@given(st.text(max_size=20), st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=80))))
def test_what_is_written_is_read_again(agent, frames):
    """Kind, agent and frames come back as they were."""
    bundle = Bundle(bundles.ANSWERS, agent, tuple(frames))

    assert bundle == Bundle.of(bundle.octets(), bundles.ANSWERS)


@given(st.binary(max_size=200))
def test_other_octets_are_refused(octets):
    """Nothing but `WireError` comes out of a file that somebody made up."""
    for head in (b"", bundles.MAGIC):
        with pytest.raises(WireError):
            Bundle.of(head + octets, bundles.REQUESTS)


def test_a_bundle_of_another_kind_is_refused():
    """Requests carried to the server, or answers to an agent, are told apart."""
    octets = Bundle(bundles.REQUESTS, "vault-a", ()).octets()

    with pytest.raises(WireError, match="holds requests, not answers"):
        Bundle.of(octets, bundles.ANSWERS)


def test_a_registration_belongs_to_one_token():
    """The session of the one frame follows from the code."""
    assert bundles.registration_session_id(b"a" * 16) != bundles.registration_session_id(b"b" * 16)
    assert 32 == len(bundles.registration_session_id(b"a" * 16))
