"""Limits: rates, windows, and how many lines refusals get."""

import threading

import pytest

from hsm_agent.wire.messages import Signed
from tests.hsm_agent.service_side import POLICY, refused, service_side
from tests.hsm_agent.structures_to_sign import leaf_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def test_rates_are_those_of_the_policy(tmp_path):
    """Above the rate: ``busy`` with a time; the same octets again do not count."""
    policy = POLICY.replace("[profiles.issuing.cert]", "[profiles.issuing.cert]\nper-hour = 3")
    with service_side(tmp_path, policy=policy) as side:
        key = side.authority()
        requests = [leaf_tbs(side.clock(), serial=serial) for serial in range(1, 5)]
        for tbs in requests[:3] * 2:
            assert isinstance(side.sign(key, tbs), Signed)

        answer = side.sign(key, requests[3])

        refused(side, answer, "busy")
        assert answer.after > 0
        side.clock.go(hours=1, minutes=1)
        assert isinstance(side.sign(key, requests[3]), Signed)


def test_a_full_window_says_when_to_come_again(tmp_path):
    """As many as the policy lets wait for a key; the others are told, not queued."""
    policy = POLICY.replace("[profiles.issuing]", "[profiles.issuing]\nwindow = 2")
    with service_side(tmp_path, policy=policy) as side:
        key = side.authority()
        gate, inside = threading.Event(), threading.Semaphore(0)

        def hold():
            inside.release()
            gate.wait(20)

        side.store.before = hold
        answers = []
        threads = [
            threading.Thread(
                target=lambda n=n: answers.append(side.sign(key, leaf_tbs(side.clock(), serial=n)))
            )
            for n in (1, 2)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert inside.acquire(timeout=20)
        third = side.sign(key, leaf_tbs(side.clock(), serial=3))
        waiting = side.service.waiting()
        gate.set()
        for thread in threads:
            thread.join()

        refused(side, third, "busy")
        assert (2, 0) == (waiting, side.service.waiting())
        assert 20 <= third.after <= 10_000
        assert all(isinstance(answer, Signed) for answer in answers)
        assert isinstance(side.sign(key, leaf_tbs(side.clock(), serial=3)), Signed)


def test_refusals_do_not_fill_the_disk(side, key):
    """A thousand lines, then counts; a line tells how many each minute, and the last at the end."""
    tbs = leaf_tbs(side.clock(), days=9999)
    for _ in range(1500):
        assert "policy" == side.sign(key, tbs).code
    assert 1000 == len(side.lines("refused"))
    side.clock.go(seconds=61)
    assert "policy" == side.sign(key, tbs).code

    [more] = side.lines("refused-more")
    assert (500, [f"500 policy {key.hex()}"]) == (more["count"], more["of"])
    for _ in range(100):
        side.sign(key, tbs)
    side.service.close()
    assert 40 == side.lines("refused-more")[-1]["count"]
    assert [] == side.store.signed


def test_load_is_told_with_few_lines(side, key):
    """Where nothing is wrong a handful of lines shows what goes on."""
    for _ in range(500):
        side.sign(key, leaf_tbs(side.clock()), life=-1)
    side.service.close()

    assert 60 == len(side.lines("refused"))
    assert 440 == side.lines("refused-more")[-1]["count"]
