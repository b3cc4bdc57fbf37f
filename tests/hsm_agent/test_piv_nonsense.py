"""A card that answers nonsense is a fault of the token, and nothing worse."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.stores.store import StoreError
from tests.hsm_agent.piv_bench import Rack, made, new_card, open_bench
from tests.virtual_yubikey.in_process import InProcessConnection

INSTRUCTIONS = [0xA4, 0x1D, 0xFD, 0xF8, 0xF7, 0x20, 0x87, 0xCB, 0xF9]
"""All that looking and signing use."""
SLOPPY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
STATUSES = st.sampled_from([0x9000, 0x6982, 0x6983, 0x63C1, 0x6A80, 0x6A82, 0x6A88, 0x6D00, 0x6F00])


class Liar(InProcessConnection):
    """Answers some instructions otherwise than the card does."""

    lies: dict[int, tuple[bytes, int]]

    def send_and_receive(self, apdu):
        true = super().send_and_receive(apdu)
        return self.lies.get(apdu[1], true)


class LyingRack(Rack):
    """A rack whose card lies from now on."""

    lies: dict[int, tuple[bytes, int]] = {}  # noqa: RUF012  # replaced, never changed

    def connect(self, reader):
        connection = Liar(self.cards[0])
        connection.lies = self.lies
        return connection


@pytest.fixture
def bench(tmp_path):
    """Give a rack, its card with a key, and a function that opens a store."""
    card = new_card()
    rack = LyingRack(card)
    store = open_bench(tmp_path, rack)
    made(store)
    store.close()
    return rack, lambda: open_bench(tmp_path, rack)


@settings(max_examples=100, deadline=None, suppress_health_check=SLOPPY)
@given(
    lies=st.dictionaries(
        st.sampled_from(INSTRUCTIONS),
        st.tuples(st.binary(max_size=40), STATUSES),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_a_card_answers_the_store_raises_only_its_own_errors(bench, lies):
    """And its state is told without any."""
    rack, opened = bench
    rack.lies = lies
    rack.clock.seconds += 1
    store = opened()

    assert store.state().state in {"ready", "absent", "pin-needed", "pin-locked"}
    for deed in (store.keys, lambda: store.sign("9a", "ecdsa-sha256", b"x")):
        rack.clock.seconds += 1
        with contextlib.suppress(StoreError):
            deed()
    store.close()


def test_the_card_beside_it_still_tells_the_truth(bench):
    """The test above would prove nothing if no store ever worked there."""
    rack, opened = bench
    rack.lies = {}

    assert opened().sign("9a", "ecdsa-sha256", b"x")
