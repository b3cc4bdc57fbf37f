"""CRLs: numbers and times go forward, and nobody revoked is lost."""

import threading

import pytest

from hsm_agent.wire.messages import Signed
from tests.hsm_agent.service_side import refused, service_side
from tests.hsm_agent.structures_to_sign import crl_tbs, leaf_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def test_crls_grow_and_drop_nobody(side, key):
    """Number, time and revoked serials only go forward; the identical one may come again."""
    assert isinstance(side.sign(key, leaf_tbs(side.clock(), serial=2)), Signed)
    first = crl_tbs(side.clock(), number=5, serials=[1, 2, 300])
    assert isinstance(side.sign(key, first), Signed)

    why = [
        refused(side, side.sign(key, tbs), "policy")
        for tbs in (
            crl_tbs(side.clock(), number=5, serials=[1, 2, 300, 4]),
            crl_tbs(side.clock(), number=4, serials=[1, 2, 300]),
            crl_tbs(side.clock(), number=6, serials=[1, 300]),
            crl_tbs(side.clock() - 60_000, number=6, serials=[1, 2, 300]),
        )
    ]

    assert "does not grow" in why[0]
    assert "1 revoked serials are no more on the CRL: 2" in why[2]
    assert "goes back" in why[3]
    assert isinstance(side.sign(key, first), Signed)
    more = crl_tbs(side.clock(), number=6, serials=[1, 2, 300, 4])
    assert isinstance(side.sign(key, more), Signed)
    revoked = side.lines("revoked")
    assert [["01", "012c", "02"], ["04"]] == [line["added"] for line in revoked]


def test_crls_of_thousands_are_remembered_over_a_restart(tmp_path):
    """Their serials stand in the journal, in pieces, once each."""
    serials = list(range(1, 2601))
    with service_side(tmp_path) as side:
        key = side.authority()
        assert isinstance(side.sign(key, leaf_tbs(side.clock(), serial=2600)), Signed)
        assert isinstance(side.sign(key, crl_tbs(side.clock(), serials=serials)), Signed)
        assert [1000, 1000, 600] == [len(line["added"]) for line in side.lines("revoked")]
        store = side.store
    (tmp_path / "state" / "journal-index").unlink()
    with service_side(tmp_path, store=store) as side:
        answer = side.sign(key, crl_tbs(side.clock(), number=2, serials=serials[:-1]))

        assert "a28" in refused(side, answer, "policy")
        more = crl_tbs(side.clock(), number=2, serials=[*serials, 5000])
        assert isinstance(side.sign(key, more), Signed)
        assert 4 == len(side.lines("revoked"))


def test_two_crls_at_once_are_compared_with_each_other(side, key):
    """Eight threads, each with another number and another list: never one drops another's."""
    for serial in range(1, 9):
        assert isinstance(side.sign(key, leaf_tbs(side.clock(), serial=serial)), Signed)
    start, answers = threading.Barrier(8), {}

    def ask(number):
        tbs = crl_tbs(side.clock(), number=number, serials=[number])
        start.wait()
        answers[number] = side.sign(key, tbs)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == sum(isinstance(answer, Signed) for answer in answers.values())
