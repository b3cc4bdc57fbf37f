"""What targets have is stored once, and two writers notice each other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.storage import certificates, publications, revocations
from pikaserver.storage.publications import CRL, STATUSES, WHOLE_TARGET, Item, Publication

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ITEM = Item(CRL, "issuing", 1, "full")
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def stored(database):
    """A target that has CRL 7 and failed with the next one."""
    one = Publication("web", 0, ITEM, "7", 7, NOW, 2, NOW, LATER, "no route")
    with database.transaction() as connection:
        assert publications.replace(connection, None, one)
    return one


def read(database, target="web", node=0):
    with database.reading() as connection:
        return publications.read(connection, target, node)


def test_what_was_stored_is_read_again(database, stored):
    """Each target and each node by itself."""
    assert {ITEM: stored} == read(database)
    assert {} == read(database, node=1)
    assert {} == read(database, "other")


def test_of_two_that_saw_the_same_the_second_is_told(database, stored):
    """Another node pushed meanwhile: whoever comes late must not call its CRL the newest."""
    with database.transaction() as connection:
        assert publications.replace(connection, stored, replace(stored, version="9", number=9))
    with database.transaction() as connection:
        assert not publications.replace(connection, stored, replace(stored, version="8", number=8))
    with database.transaction() as connection:
        assert not publications.replace(connection, None, replace(stored, version="1"))

    assert "9" == read(database)[ITEM].version


@pytest.mark.usefixtures("stored")
def test_pushed_again_keeps_its_number(database):
    """The newest is pushed once more, and never one older than it."""
    with database.transaction() as connection:
        publications.push_again(connection, "web", 0, ITEM)

    assert ("", 7) == (read(database)[ITEM].version, read(database)[ITEM].number)


def test_a_retry_now_leaves_what_is_known(database, stored):
    """Only the waiting ends."""
    with database.transaction() as connection:
        assert 1 == publications.retry_now(connection, "web")
        assert 0 == publications.retry_now(connection, "other")

    assert {ITEM: replace(stored, retry_at=None)} == read(database)


@pytest.mark.usefixtures("stored")
def test_a_target_that_is_forgotten_keeps_its_place_among_statuses(database):
    """Else every revocation of years would be told once more."""
    statuses = Publication("web", 0, Item(STATUSES, "issuing", 1), "40", 40)
    elsewhere = Publication("web", 2, WHOLE_TARGET, "place")
    with database.transaction() as connection:
        publications.replace(connection, None, statuses)
        publications.replace(connection, None, elsewhere)
        publications.forget(connection, "web", 0)

    assert {statuses.item: statuses} == read(database)
    assert {WHOLE_TARGET: elsewhere} == read(database, node=2)


def test_status_changes_come_in_their_order(house):
    """A revocation, a hold and its release are one sequence of numbers per generation."""
    first, second, third = (house.issued(serial) for serial in (1, 2, 3))
    held = Revocation(NOW, RevocationReason.CERTIFICATE_HOLD)
    final = Revocation(NOW, RevocationReason.KEY_COMPROMISE)
    with house.database.transaction() as connection:
        for number, (one, why) in enumerate([(second, final), (first, final), (third, held)], 1):
            certificates.revoke(connection, one, why, crl_entry=b"entry", number=number)
        certificates.release(connection, third)
        revocations.note_release(connection, third, NOW, 4)

    with house.database.reading() as connection:
        found = publications.changed_certificates(connection, house.generation, 0, 10)
        rest = publications.changed_certificates(connection, house.generation, 1, 1)

    assert [(1, second), (2, first), (4, third)] == found
    assert [(2, first)] == rest
