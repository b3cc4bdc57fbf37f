"""Requests that came together: one write and one sync for all, and each for itself otherwise."""

import errno
import os

import pytest

from hsm_agent.journal.verify import verify
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.wire.messages import Refused, Sign, Signed
from tests.hsm_agent.service_side import LINE, WHY, service_side
from tests.hsm_agent.structures_to_sign import crl_tbs, leaf_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def requests(side, key, *structures):
    return [
        Sign(side.number(), key, "ecdsa-sha256", tbs, side.clock() + 60_000, WHY)
        for tbs in structures
    ]


def leaves(side, *serials):
    return [leaf_tbs(side.clock(), serial=serial) for serial in serials]


def answers(side, asked, line=LINE):
    """Return the answers in the order of the requests; each request has exactly one."""
    given = [answer for some in side.service.sign(asked, line) for answer in some]
    assert sorted(one.id for one in asked) == sorted(one.id for one in given)
    by_id = {one.id: one for one in given}
    return [by_id[one.id] for one in asked]


def test_requests_of_a_frame_share_a_sync_and_have_lines_of_their_own(side, key):
    """All lines are on disk before the first use of the key; each answer has its own mark."""
    synced, before = [], []
    side.sync = lambda file: (synced.append(file), os.fdatasync(file))
    side.store.before = lambda: before.append((len(synced), side.journal.mark().index))

    found = answers(side, requests(side, key, *leaves(side, 11, 12, 13, 14)))

    assert {Signed} == {type(one) for one in found}
    marks = [one.journal.index for one in found]
    assert list(range(marks[0], marks[0] + 4)) == marks
    assert [(1, marks[3])] * 4 == before
    lines = side.lines("sign", "signed")
    assert marks == [line["i"] for line in lines if line["event"] == "sign"][-4:]
    assert marks == [line["of"] for line in lines if line["event"] == "signed"][-4:]


def test_a_serial_is_given_once_within_a_frame(side, key):
    """Requests are decided one after the other, though their lines are written together."""
    first, other = leaf_tbs(side.clock(), serial=21), leaf_tbs(side.clock(), serial=21, days=30)

    found = answers(side, requests(side, key, first, other, first))

    assert [Signed, Refused, Signed] == [type(one) for one in found]
    assert b"belongs to another certificate" in found[1].why
    assert 2 == len(side.store.signed)


def test_a_refused_request_harms_no_other_one(side, key):
    """What the policy does not have, and a fault of the token, concern one request each."""
    good = leaves(side, 31, 32, 33)
    spoilt = iter([False, True, False])
    side.store.spoil = lambda signature: b"nonsense" if next(spoilt) else signature

    found = answers(side, requests(side, key, good[0], b"\x30\x03\x02\x01", *good[1:]))

    assert ["Signed", "kind", "token-error", "Signed"] == [
        getattr(one, "code", "Signed") for one in found
    ]
    [failed] = side.lines("failed")
    assert failed["of"] not in (found[0].journal.index, found[3].journal.index)


def test_nothing_is_signed_when_the_lines_are_not_on_disk(side, key):
    """All of them are refused, and may come again with the same serials elsewhere or here."""
    asked = requests(side, key, *leaves(side, 41, 42, 43))

    def fail(_file):
        raise OSError(errno.EIO, "Input/output error")

    side.sync = fail
    found = answers(side, asked)
    side.sync = os.fdatasync

    assert ["journal"] * 3 == [one.code for one in found]
    assert [] == side.store.signed
    assert 0 == side.service.waiting()
    assert {Signed} == {type(one) for one in answers(side, asked)}


def test_crls_of_a_frame_are_compared_with_each_other(side, key):
    """The second one has a lower number than the first, of the same frame."""
    crls = [crl_tbs(side.clock(), number=number) for number in (5, 4)]

    found = answers(side, requests(side, key, *leaves(side, 51), *crls))

    assert [Signed, Signed, Refused] == [type(one) for one in found]


def test_each_key_use_looks_at_the_line_again(side, key):
    """Where the line falls silent meanwhile, what is left of a frame is not signed."""
    living = [1]
    line = LineFacts(1, "line", lambda: bool(living))
    side.store.before = living.clear

    found = answers(side, requests(side, key, *leaves(side, 61, 62, 63)), line)

    assert ["Signed", "expired", "expired"] == [getattr(one, "code", "Signed") for one in found]
    assert 1 == len(side.store.signed)
    assert 2 == len(side.lines("failed"))


def test_what_nobody_expected_is_an_answer_as_well(side, key):
    """A store that breaks its word costs the request that it concerns and those behind it."""
    side.store.before = lambda: 1 // 0

    found = answers(side, requests(side, key, *leaves(side, 71, 72)))

    assert ["token-error", "token-error"] == [one.code for one in found]
    assert 0 == side.service.waiting()


def test_a_journal_written_in_groups_verifies(side, key, tmp_path):
    """The chain goes through all lines of a group."""
    answers(side, requests(side, key, *leaves(side, *range(81, 97))))
    side.journal.append("test")

    assert side.journal.mark() == verify(tmp_path / "journal").mark
