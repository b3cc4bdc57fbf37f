"""The memory: everything that the journal says, and what is just being written there."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_agent.journal.recent_uses import MOST_TOLD_APART, RecentUses
from hsm_agent.journal.relay_windows import WIDTH, RelayWindow
from hsm_agent.policy.memory import CrlMark
from tests.hsm_agent.journals import NOW
from tests.hsm_agent.remembering import (
    KEY,
    OTHER,
    WHEN,
    Remembering,
    crl_facts,
    sign_line,
    tbs_hash,
)


@pytest.fixture
def side(tmp_path):
    made = Remembering(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("forget", [False, True], ids=["with its index", "from the journal alone"])
def test_everything_is_there_after_a_restart(side, forget):
    """The index spares time; the journal alone is enough."""
    later = (WHEN + timedelta(days=90)).isoformat()
    side.sign(b"leaf", serial="1f", not_after=later)
    side.sign(b"leaf", serial="1f", not_after=later)
    side.sign(b"root", kind="self-signed", serial="1", not_after=later, approved_by=["local"])
    side.sign(b"second root", kind="self-signed", serial="2", not_after=later)
    side.sign(b"crl 7", kind="crl", **crl_facts(7))
    side.sign(b"crl 8", kind="crl", **crl_facts(8))
    side.sign(b"crl 7", kind="crl", **crl_facts(7))
    side.sign(b"delta", kind="crl", **crl_facts(9, "delta"))
    side.journal.append("revoked", key=KEY.hex(), scope="complete", added=["01", "02", "03"])
    side.journal.append("revoked", key=KEY.hex(), scope="complete", left=["02"])
    side.journal.append("generate", name="soft/a", profile="issuing", **{"key-type": "ec-p256"})
    side.journal.append("generated", name="soft/a", profile="issuing", key=KEY.hex())
    side.journal.append("generate", name="soft/b", profile="root", **{"key-type": "rsa-2048"})
    side.journal.append("generate", name="soft/c", profile="root", **{"key-type": "rsa-2048"})
    side.journal.append("not-generated", name="soft/c")
    side.journal.append("relay", asking="aa", sequence=5)

    side.again(forget=forget)

    memory = side.memory
    assert tbs_hash(b"leaf") == memory.serial_use(KEY, 0x1F)
    assert (None, None) == (memory.serial_use(KEY, 0x20), memory.serial_use(OTHER, 0x1F))
    assert tbs_hash(b"root") == memory.self_signed_before(KEY)
    assert memory.self_signed_before(OTHER) is None
    assert CrlMark(8, WHEN, tbs_hash(b"crl 8")) == memory.last_crl(KEY, "complete")
    assert 9 == memory.last_crl(KEY, "delta").number
    assert memory.last_crl(OTHER, "complete") is None
    assert [3] == list(memory.dropped(KEY, "complete", [b"\x01", b"\x09"], WHEN))
    assert ("issuing", None) == (memory.profile(KEY), memory.profile(OTHER))
    assert ("root", "rsa-2048") == memory.begun("soft/b")
    assert (None, None) == (memory.begun("soft/a"), memory.begun("soft/c"))
    assert memory.approved(KEY, tbs_hash(b"root"))
    assert not memory.approved(KEY, tbs_hash(b"leaf"))
    assert not memory.take_sequence(b"\xaa", 5)
    assert memory.take_sequence(b"\xaa", 6)
    counts = memory.signed_since(KEY, WHEN - timedelta(hours=1), tbs_hash(b"leaf"))
    assert {"self-signed": 2, "crl": 3} == dict(counts)


def test_a_reservation_counts_at_once_and_no_longer_than_it_lasts(side):
    """Between a decision and the disk others are decided: they have to see it."""
    later = (WHEN + timedelta(days=1)).isoformat()
    line = sign_line(b"leaf", serial="7", not_after=later)
    root = sign_line(b"root", kind="self-signed", serial="8", not_after=later)
    crl = sign_line(b"crl", kind="crl", **crl_facts(3))
    uses = [side.memory.reserve({**one, "ts": NOW}) for one in (line, line, root, crl)]
    hour_ago = WHEN - timedelta(hours=1)

    assert tbs_hash(b"leaf") == side.memory.serial_use(KEY, 7)
    assert {"cert": 1, "self-signed": 1, "crl": 1} == side.memory.signed_since(KEY, hour_ago, b"")
    assert {"self-signed": 1, "crl": 1} == dict(
        side.memory.signed_since(KEY, hour_ago, tbs_hash(b"leaf"))
    )
    assert tbs_hash(b"root") == side.memory.self_signed_before(KEY)
    assert 3 == side.memory.last_crl(KEY, "complete").number
    side.memory.release(uses[0])
    assert tbs_hash(b"leaf") == side.memory.serial_use(KEY, 7)
    for use in uses[1:]:
        side.memory.release(use)
    assert side.memory.serial_use(KEY, 7) is None
    assert side.memory.last_crl(KEY, "complete") is None
    assert {} == side.memory.signed_since(KEY, hour_ago, b"")


def test_only_one_of_two_threads_gets_a_serial(side):
    """The decision and its reservation are one step: of 32 that ask at once, one passes."""
    passed = []
    start = threading.Barrier(32)

    def ask(number):
        tbs = b"tbs %d" % number
        start.wait()
        with side.memory.deciding(KEY):
            if side.memory.serial_use(KEY, 7) not in (None, tbs_hash(tbs)):
                return
            line = sign_line(tbs, serial="7", not_after=WHEN.isoformat())
            use = side.memory.reserve({**line, "ts": NOW})
        side.journal.append("sign", **line)
        side.memory.release(use)
        passed.append(tbs)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(passed)
    assert tbs_hash(passed[0]) == side.memory.serial_use(KEY, 7)


def test_rates_count_different_structures_of_a_span(side):
    """The same one again counts once, as of its last time; minutes and days are told apart."""
    for number in range(3):
        side.sign(b"%d" % number)
    side.clock.go(hours=2)
    side.sign(b"0")
    side.sign(b"crl", kind="crl")
    now = WHEN + timedelta(hours=2)

    def since(**span):
        return dict(side.memory.signed_since(KEY, now - timedelta(**span), b""))

    assert {"cert": 1, "crl": 1} == since(minutes=1) == since(hours=1)
    assert {"cert": 3, "crl": 1} == since(days=1)
    side.clock.go(minutes=10)
    now += timedelta(minutes=10)
    assert {} == since(minutes=1)
    side.again()
    assert {"cert": 1, "crl": 1} == since(hours=1)
    assert {"cert": 3, "crl": 1} == since(days=1)
    assert {} == dict(side.memory.signed_since(OTHER, now - timedelta(days=1), b""))


def test_a_revoked_certificate_may_leave_when_it_has_expired(side):
    """Serials whose certificates were signed here are known with their end; others stay."""
    side.sign(b"leaf", serial="7", not_after=(WHEN + timedelta(days=10)).isoformat())
    side.journal.append("revoked", key=KEY.hex(), scope="complete", added=["07", "00ff"])

    def dropped(days):
        return list(side.memory.dropped(KEY, "complete", [], WHEN + timedelta(days=days)))

    assert [0xFF, 7] == dropped(9)
    assert [0xFF] == dropped(11)


def test_a_certificate_on_hold_does_not_take_a_revoked_one_off(side):
    """Revoked, then on hold, then gone: the first step changes nothing about what has to stay."""
    first = side.memory.changes(KEY, "complete", [b"\x01", b"\x02"], [b"\x01"])
    side.journal.append(
        "revoked", key=KEY.hex(), scope="complete", added=[one.hex() for one in first.added]
    )

    second = side.memory.changes(KEY, "complete", [b"\x01"], [])

    assert ([b"\x01"], []) == (first.added, first.left)
    assert ([], []) == (second.added, second.left)


@settings(deadline=None)  # each example waits for the disk
@given(st.sets(st.binary(min_size=1, max_size=3)), st.sets(st.binary(min_size=1, max_size=3)))
def test_the_difference_of_two_lists_is_that_of_sets(tmp_path_factory, before, now):
    """Read side by side, without either in memory as a set."""
    side = Remembering(tmp_path_factory.mktemp("lists"))
    try:
        side.journal.append(
            "revoked", key=KEY.hex(), scope="x", added=[one.hex() for one in sorted(before)]
        )
        changes = side.memory.changes(KEY, "x", iter(now), iter(now))
    finally:
        side.close()

    assert (now - before, before - now) == (set(changes.added), set(changes.left))


@given(st.lists(st.integers(-5, 3 * WIDTH), max_size=60))
def test_a_relay_window_takes_each_number_once(numbers):
    """Like a set, but for what is too far behind: that is never taken."""
    window, taken = RelayWindow(), set()
    for number in numbers:
        known = number < 1 or number in taken or number <= max(taken, default=0) - WIDTH
        assert window.take(number) != known
        if not known:
            taken.add(number)


def test_a_relay_window_stays_small():
    """A number far ahead costs no memory."""
    window = RelayWindow()

    assert [True] * 3 == [window.take(number) for number in (1, 1 << 62, (1 << 62) - 1)]
    assert [False] * 2 == [window.take(number) for number in (1, (1 << 62) - 1)]
    assert window.seen.bit_length() <= WIDTH


def test_counters_stay_small_and_never_count_too_little():
    """Beyond what is told apart every use counts; old seconds and minutes go."""
    recent = RecentUses()
    count = MOST_TOLD_APART + 1000
    for number in range(count):
        recent.add(KEY, "cert", b"%d" % number, NOW + number * 100)
    recent.add(KEY, "cert", b"0", NOW + count * 100)
    end = NOW + count * 100

    assert count + 1 == recent.since(KEY, end - 25 * 3600_000)["cert"]
    assert 600 <= recent.since(KEY, end - 60_000)["cert"] <= 611
    assert recent.size() < MOST_TOLD_APART + 600


def test_many_uses_of_a_day_are_counted_after_a_restart(side, monkeypatch):
    """Those that are not told apart any more are read as numbers."""
    monkeypatch.setattr("hsm_agent.journal.index.MOST_TOLD_APART", 10)
    for number in range(50):
        side.sign(b"%d" % number)
        side.clock.go(seconds=1)
    side.again()

    counts = side.memory.signed_since(KEY, WHEN, b"")

    assert {"cert": 50} == dict(counts)
