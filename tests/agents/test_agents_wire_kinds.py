"""Kinds, pins, openings and codes: what is written is read again, and nothing else is."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.identity.channel_keys import load_written, new_frame_key, written
from hsm_agent.identity.identity import frame_verifier as agents_verifier
from hsm_agent.wire.channel_kinds import Abilities
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.enrollment_code import PREFIX, PREFIX_2, EnrollmentCode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frame_kinds import (
    FRAME_KINDS,
    LARGEST_KEY,
    LARGEST_SIGNATURE,
    frame_kind,
    frame_pin,
    is_frame_pin,
    pinned_kind,
)
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.openings import (
    LARGEST_AGENT_OPENING,
    LARGEST_NODE_OPENING,
    AgentOpening,
    NodeOpening,
    opened_session_id,
)
from hsm_agent.wire.session import relay_session_id
from pikaserver.testing.damage import altered
from pikaserver_agents.frame_keys import frame_verifier as nodes_verifier
from pikaserver_agents.frame_keys import newcomer_verifier

KEYS = {kind: new_frame_key(kind) for kind in FRAME_KINDS}
PUBLIC = {kind: written(key) for kind, key in KEYS.items()}
PINS = {kind: frame_pin(public) for kind, public in PUBLIC.items()}
VERIFIERS = [agents_verifier, nodes_verifier]
kinds = st.sampled_from(list(FRAME_KINDS))
few_texts = st.lists(st.text(min_size=1, max_size=16), min_size=1, max_size=16).map(tuple)


@given(kinds)
def test_keys_are_written_in_one_form_and_told_apart_by_it(kind):
    """Lengths are those of FIPS 204 table 2, and 22 octets of SubjectPublicKeyInfo before them."""
    public = PUBLIC[kind]

    assert kind == frame_kind(public).name == pinned_kind(public) == pinned_kind(PINS[kind])
    assert len(public) == frame_kind(public).written_octets <= LARGEST_KEY == 2614
    assert PINS[kind] == frame_pin(PINS[kind])
    assert public == written(KEYS[kind])
    assert load_written(public) == KEYS[kind].public_key()


def test_pins_are_hashes_but_for_ed25519():
    """No pin of one kind has the length of another's: a hash can never be taken for a key."""
    for kind, public in PUBLIC.items():
        digest = f"{kind}:".encode() + hashlib.sha256(public).digest()
        assert PINS[kind] == (public if kind == "ed25519" else digest)
    assert {32, 42} == {len(pin) for pin in PINS.values()}


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("kind", list(FRAME_KINDS))
def test_only_the_pinned_key_verifies_whatever_else_signed(verifier, kind):
    """The kind of the key decides; another key's signature, of any kind, does not hold."""
    verify = verifier(PUBLIC[kind])
    signature = KEYS[kind].sign(b"octets")
    others = [key.sign(b"octets") for other, key in KEYS.items() if other != kind]
    wrong = [new_frame_key(kind).sign(b"octets"), *others, b"", signature + b"\0", signature[:-1]]

    verify(b"octets", signature)

    for octets, one in [(b"octets", one) for one in wrong] + [(b"other", signature)]:
        with pytest.raises(WireError, match="does not hold"):
            verify(octets, one)
    assert FRAME_KINDS[kind].signature_octets == len(signature) <= LARGEST_SIGNATURE


@given(kinds, st.integers(0, 5000), st.integers(1, 255))
def test_an_altered_signature_never_holds(kind, place, change):
    """Any octet of it, in every kind."""
    signature = bytearray(KEYS[kind].sign(b"octets"))
    signature[place % len(signature)] ^= change

    for verifier in VERIFIERS:
        with pytest.raises(WireError):
            verifier(PUBLIC[kind])(b"octets", bytes(signature))


@given(st.one_of(st.binary(max_size=64), kinds.map(PUBLIC.get), kinds.map(PINS.get)), st.data())
def test_octets_are_a_key_or_refused(octets, data):
    """Whatever comes, nothing but `WireError` is raised, and what is taken has its one form."""
    if octets and data.draw(st.booleans()):
        octets = altered(octets, data.draw(st.integers(0, len(octets) - 1)))
    for verifier in VERIFIERS:
        try:
            verifier(octets)
        except WireError:
            continue
        assert frame_kind(octets).written_octets == len(octets)
    if is_frame_pin(octets):
        assert frame_pin(frame_pin(octets)) == frame_pin(octets)
    else:
        with pytest.raises(WireError):
            frame_pin(octets)


@given(st.binary(min_size=32, max_size=32), kinds, few_texts, few_texts)
def test_openings_are_read_as_they_were_written(nonce, kind, tls, frames):
    """And they fit what the other side takes."""
    asked = AgentOpening(nonce, PINS[kind], Abilities(tls, frames))
    answered = NodeOpening(nonce, PUBLIC[kind], KEYS[kind].sign(nonce))

    assert asked == AgentOpening.of(asked.octets())
    assert answered == NodeOpening.of(answered.octets())
    assert len(answered.octets()) <= LARGEST_NODE_OPENING


def test_an_ordinary_opening_is_small():
    """All kinds that there are, four times over, would still fit."""
    abilities = Abilities(("ec-p256", *list(FRAME_KINDS)[1:]) * 4, tuple(FRAME_KINDS) * 4)

    octets = AgentOpening(bytes(32), PINS["ml-dsa-65"], abilities).octets()

    assert len(octets) <= LARGEST_AGENT_OPENING


values = st.recursive(
    st.one_of(st.integers(0, 9), st.binary(max_size=40), st.text(max_size=4), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
fields = st.fixed_dictionaries(
    {"nonce": values},
    optional=dict.fromkeys(("node", "tls", "frames", "frame_key", "proof"), values),
)


@given(st.one_of(st.binary(max_size=200), values.map(encode), fields.map(encode)))
def test_whatever_comes_as_an_opening_is_read_or_refused(octets):
    """What is read is what the other side would have written."""
    for kind in (AgentOpening, NodeOpening):
        try:
            found = kind.of(octets)
        except WireError:
            continue
        assert octets == found.octets()


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": bytes(31)},
        {"node": b"ml-dsa-65:" + bytes(31)},
        {"node": b"ed25519:" + bytes(32)},
        {"node": b"slh-dsa-1:" + bytes(32)},
        {"tls": []},
        {"tls": ["x"] * 17},
        {"frames": ["ed25519", 1]},
        {"more": 1},
    ],
)
def test_openings_with_other_fields_are_refused(change):
    """Each field has its one shape and bound."""
    good = {"nonce": bytes(32), "node": bytes(32), "tls": ["ec-p256"], "frames": ["ed25519"]}
    assert AgentOpening.of(encode(good))

    with pytest.raises(WireError):
        AgentOpening.of(encode(good | change))


def test_a_session_depends_on_every_octet_that_was_said():
    """Whoever altered an opening between both has two sessions, and no frame that fits both."""
    said = [b"agent", b"node", b"server certificate", b"agent certificate"]
    sessions = {opened_session_id(*said)}
    for place in range(4):
        sessions.add(opened_session_id(*said[:place], said[place] + b"\0", *said[place + 1 :]))
    sessions.add(opened_session_id(*reversed(said)))

    assert 6 == len(sessions)


@given(kinds, kinds)
def test_relayed_frames_have_a_session_for_each_ordered_pair_of_keys(one, other):
    """Two Ed25519 keys have that of version 1."""
    session = relay_session_id(PUBLIC[one], PUBLIC[other])

    if one != other:
        assert session != relay_session_id(PUBLIC[other], PUBLIC[one])
    old = hashlib.sha256(b"pikaserver-hsm-relay-v1" + PUBLIC[one] + PUBLIC[other]).digest()
    assert (old == session) is (one == other == "ed25519")


@given(st.lists(kinds, min_size=1, max_size=4), st.binary(min_size=16, max_size=16))
def test_codes_with_any_kinds_are_read_as_they_were_written(found, token):
    """A code says version 2 when, and only when, older agents could not follow it."""
    count = len(found)
    pins = tuple(PINS[kind] for kind in found)
    code = EnrollmentCode("vault-a", token, ("a:1",) * count, (bytes(32),) * count, pins)

    text = code.text()

    assert code == EnrollmentCode.read(text)
    assert text.startswith(PREFIX if {"ed25519"} == set(found) else PREFIX_2)
    other = PREFIX_2 if text.startswith(PREFIX) else PREFIX
    with pytest.raises(WireError, match="another version"):
        EnrollmentCode.read(other + text[len(PREFIX) :])


def test_a_code_holds_pins_and_no_long_keys():
    """A key in the place of its pin is refused: each code has one form."""
    content = encode(["vault-a", bytes(16), [["a:1", bytes(32), PUBLIC["ml-dsa-44"]]]])
    checksum = hashlib.sha256(content).digest()[:4]
    text = PREFIX_2 + base64.urlsafe_b64encode(content + checksum).decode().rstrip("=")

    with pytest.raises(WireError, match="no proper node"):
        EnrollmentCode.read(text)


def test_a_signature_longer_than_any_is_no_frame():
    """It is refused before anybody looks for a key."""
    assert Frame.of(encode([b"payload", bytes(LARGEST_SIGNATURE)]))

    with pytest.raises(WireError):
        Frame.of(encode([b"payload", bytes(LARGEST_SIGNATURE + 1)]))


@pytest.mark.parametrize("kind", list(FRAME_KINDS))
def test_who_brings_a_key_has_to_have_signed_with_it(kind):
    """Of any kind; a key without its signature registers nobody."""
    payload = encode({"m": [{"frame_key": PUBLIC[kind]}]})
    label = b"pikaserver-hsm-frame-v1\0" + payload

    newcomer_verifier(label, KEYS[kind].sign(label))

    with pytest.raises(WireError):
        newcomer_verifier(label, new_frame_key(kind).sign(label))
