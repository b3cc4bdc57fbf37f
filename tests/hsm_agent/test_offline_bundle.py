"""Bundles: requests that came by hand, answered under the same policy and journal."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.journal.verify import verify
from hsm_agent.service.offline import answer_bundle
from hsm_agent.wire.bundles import ANSWERS, BUNDLE_LIFE, REQUESTS, Bundle, seal_for_bundle
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Inventory, JournalRead, Refused, Sign, Signed
from hsm_agent.wire.session import seal
from pikaserver.testing.damage import altered
from tests.hsm_agent.authenticators import raw_public
from tests.hsm_agent.relay_side import relay_side
from tests.hsm_agent.service_side import WHY
from tests.hsm_agent.structures_to_sign import leaf_tbs

DAY = 24 * 3600 * 1000


@pytest.fixture
def side(tmp_path):
    with relay_side(tmp_path) as made:
        yield made


def sign(side, key, serial=7, **leaf):
    tbs = leaf_tbs(side.clock(), serial=serial, **leaf)
    return Sign(serial.to_bytes(16), key, "ecdsa-sha256", tbs, side.clock() + 30 * DAY, WHY)


def bundle_of(side, *requests, agent="vault-a"):
    """Return a file with one frame for each request."""
    frames = [side.frame([request], make=seal_for_bundle) for request in requests]
    return Bundle(REQUESTS, agent, tuple((side.frame_public, frame) for frame in frames)).octets()


def answered(side, octets, inventory=None):
    """Answer a bundle; return what the frames of the answer hold, and what was not answered."""
    found = answer_bundle(octets, "vault-a", {side.frame_public: 2}, side.relaying, inventory)
    bundle = Bundle.of(found.octets, ANSWERS)
    assert ("vault-a", found.frames) == (bundle.agent, len(bundle.frames))
    assert {side.frame_public} >= {asking for asking, _ in bundle.frames}
    opened = [side.opened(frame, tolerance=BUNDLE_LIFE) for _, frame in bundle.frames]
    return opened, [(one.place, one.why) for one in found.unanswered]


def test_a_bundle_is_answered_days_later(side):
    """Signed and refused as over a line, each line in the journal; numbers fit the questions."""
    key = side.authority()
    octets = bundle_of(side, sign(side, key), sign(side, key, 8, name="evil.org"))
    side.clock.go(days=1)

    opened, unanswered = answered(side, octets)

    assert [] == unanswered
    assert [1, 2] == [sequence for sequence, _ in opened]
    assert [Signed, Refused] == [type(message) for _, [message] in opened]
    assert ["offline"] == [line["way"] for line in side.lines("sign")]
    assert [2, 2] == [line["node"] for line in side.lines("relay")]
    assert verify(side.folder / "journal").sound


def test_the_first_answer_brings_the_inventory_too(side):
    """So that the server learns of keys that an agent without a line has."""
    inventory = Inventory(bytes(32), (), ())
    octets = bundle_of(side, JournalRead(bytes(16), 1, 1), JournalRead(bytes(16), 1, 1))

    opened, _ = answered(side, octets, inventory)

    assert inventory == opened[0][1][-1]
    assert [2, 1] == [len(messages) for _, messages in opened]


def test_damage_to_a_frame_refuses_that_frame_and_says_so(side):
    """The others are answered; place and reason are told, and journaled."""
    read = [JournalRead(bytes([number]) * 16, 1, 1) for number in range(4)]
    whole = Bundle.of(bundle_of(side, *read), REQUESTS)
    frames = [frame for _, frame in whole.frames]
    frames[1] = altered(frames[1])
    frames[2] = frames[2][:40]
    stranger = raw_public(Ed25519PrivateKey.generate())
    pairs = [(side.frame_public, frame) for frame in frames]
    octets = Bundle(REQUESTS, "vault-a", (*pairs, (stranger, frames[0]))).octets()

    opened, unanswered = answered(side, octets)

    assert [1, 4] == [sequence for sequence, _ in opened]
    assert [2, 3, 5] == [place for place, _ in unanswered]
    assert "does not hold" in unanswered[0][1]
    assert "no node that this agent knows" in unanswered[2][1]
    assert ["frame 2 of", "frame 3 of", "frame 5 of"] == [
        line["why"][:10] for line in side.lines("refused")
    ]


def test_a_bundle_is_answered_once(tmp_path):
    """The same stick again, also after a restart: every frame came before."""
    with relay_side(tmp_path) as side:
        key = side.authority()
        octets = bundle_of(side, sign(side, key))
        assert 1 == len(answered(side, octets)[0])
        store = side.store
    with relay_side(tmp_path, store=store) as side:
        opened, unanswered = answered(side, octets)

        assert ([], 1) == (opened, len(unanswered))
        assert "came before" in unanswered[0][1]
        assert 1 == len(store.signed)


def test_a_bundle_that_is_too_old_is_refused(side):
    """A journey takes days, not for ever."""
    octets = bundle_of(side, JournalRead(bytes(16), 1, 1))
    side.clock.go(days=31)

    assert [1] == [place for place, _ in answered(side, octets)[1]]


def test_a_frame_of_a_line_is_too_short_lived_for_a_journey(side):
    """Its own end counts, not only the tolerance."""
    frame = side.frame(make=seal)
    side.clock.go(minutes=2)
    octets = Bundle(REQUESTS, "vault-a", ((side.frame_public, frame),)).octets()

    assert "expired" in answered(side, octets)[1][0][1]


def test_a_bundle_for_another_agent_is_refused_as_a_whole(side):
    """Nothing in it is looked at."""
    octets = bundle_of(side, JournalRead(bytes(16), 1, 1), agent="vault-b")

    with pytest.raises(WireError, match="'vault-b'"):
        answered(side, octets)
    assert [] == side.lines("relay", "refused")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 1 << 16), st.integers(1, 255))
def test_no_changed_bundle_gets_another_answer(side, place, change):
    """Any one octet: the file is refused, or the frame that it hit is."""
    octets = bytearray(bundle_of(side, JournalRead(bytes(16), 1, 1)))
    octets[place % len(octets)] ^= change
    try:
        opened, unanswered = answered(side, bytes(octets))
    except WireError:
        return

    assert ([], 1) == (opened, len(unanswered))
