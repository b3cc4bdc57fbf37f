"""CRLs, leases and the memory of the clock."""

import threading
import tracemalloc
from datetime import timedelta

import pytest

from pikaserver.api.errors import Conflict, NotFound, Unavailable
from pikaserver.storage import clock, crls, leases
from pikaserver.storage.chunks import CHUNK_OCTETS
from pikaserver.storage.database import open_database

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
KIB = 1024


def intend(house, this_update=None, database=None):
    at = this_update or house.now
    with (database or house.database).transaction() as connection:
        new = crls.NewCrl(house.generation, this_update=at, next_update=at + DAY)
        return crls.insert_intent(connection, new)


def finish(house, intent, octets=b"crl"):
    with house.database.transaction() as connection:
        length = crls.write(connection, intent.id, [octets])
        crls.complete(connection, intent.id, entries=3, octets=length, digest="ab", revocations=0)


def latest(house):
    with house.database.reading() as connection:
        row = crls.latest(connection, house.generation)
        return row, b"".join(crls.read(connection, row.id))


def test_makers_at_once_get_numbers_of_their_own(house, url):
    """Two nodes that make a CRL at the same moment: each number once, none missing."""
    other = open_database(url)
    numbers = []

    def make(database):
        numbers.extend(intend(house, database=database).number for _ in range(20))

    threads = [
        threading.Thread(target=make, args=(database,))
        for database in (house.database, other, house.database, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()

    assert list(range(1, 81)) == sorted(numbers)


def test_the_highest_signed_number_is_served(house):
    """A slower maker that finishes late does not take a newer CRL back."""
    with pytest.raises(NotFound, match="no CRL"):
        latest(house)
    early, late, given_up = (
        intend(house),
        intend(house, house.now + SECOND),
        intend(house, house.now + SECOND),
    )

    finish(house, late, b"late")
    finish(house, early, b"early")
    with house.database.transaction() as connection:
        assert [given_up] == crls.open_intents(connection)
        crls.abandon(connection, given_up.id)

    row, octets = latest(house)
    assert (2, b"late", 4, 3, "ab") == (row.number, octets, row.octets, row.entries, row.hash)
    assert (house.now + SECOND, house.now + SECOND + DAY) == (row.this_update, row.next_update)
    assert 4 == intend(house, house.now + SECOND).number


def test_a_crl_is_completed_once(house):
    """What is signed, or given up, stays so."""
    signed, given_up = intend(house), intend(house)
    finish(house, signed)
    with house.database.transaction() as connection:
        crls.abandon(connection, given_up.id)

    for intent in (signed, given_up):
        with pytest.raises(Conflict, match="does not wait"):
            finish(house, intent, b"other")
        with pytest.raises(Conflict), house.database.transaction() as connection:
            crls.abandon(connection, intent.id)
    assert b"crl" == latest(house)[1]


def test_this_update_does_not_go_back(house):
    """A relying party would take the older CRL for the newer one."""
    intend(house)

    with pytest.raises(Conflict, match="later than the clock"):
        intend(house, house.now - SECOND)
    with pytest.raises(NotFound), house.database.transaction() as connection:
        crls.insert_intent(connection, crls.NewCrl(999, house.now, house.now))


def test_a_large_crl_goes_in_and_out_in_pieces(house):
    """Memory stays flat: a few chunks, not the whole."""
    intent, size = intend(house), 24 * 1024 * KIB
    pieces = (b"x" * 3000 for _ in range(size // 3000))

    tracemalloc.start()
    with house.database.transaction() as connection:
        length = crls.write(connection, intent.id, pieces)
        crls.complete(connection, intent.id, entries=1, octets=length, digest="ab", revocations=0)
    with house.database.reading() as connection:
        lengths = [len(chunk) for chunk in crls.read(connection, intent.id)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert length == sum(lengths)
    assert {CHUNK_OCTETS} == set(lengths[:-1])
    assert peak < size / 4


def test_a_broken_attempt_is_replaced(house):
    """A maker that died left chunks behind; the next one writes from the start."""
    intent = intend(house)
    with house.database.transaction() as connection:
        crls.write(connection, intent.id, [b"x" * 600 * KIB])

    finish(house, intent, b"short")

    assert b"short" == latest(house)[1]


def test_the_octets_of_superseded_crls_go(house):
    """Their numbers stay on record."""
    first = intend(house)
    finish(house, first, b"first")
    second = intend(house)
    finish(house, second, b"second")

    with house.database.transaction() as connection:
        crls.drop_superseded(connection, crls.latest(connection, house.generation))

    with house.database.reading() as connection:
        assert [] == list(crls.read(connection, first.id))
    assert b"second" == latest(house)[1]
    assert 3 == intend(house).number


def test_scopes_have_numbers_from_one_sequence(house):
    """RFC 5280 section 5.2.4: a delta made with a full CRL shares its number, once."""
    full = intend(house)
    finish(house, full, b"full")

    def add(scope, **more):
        new = crls.NewCrl(house.generation, house.now, house.now + DAY, scope, **more)
        with house.database.transaction() as connection:
            made = crls.insert_intent(connection, new)
            crls.write(connection, made.id, [scope.encode()])
            octets = len(scope)
            crls.complete(connection, made.id, entries=0, octets=octets, digest="", revocations=0)
        return made.number

    assert 1 == add("delta", shares_number=1, base_number=1)
    assert 2 == add("delta", shares_number=1, base_number=1)
    assert 3 == add("shard-1")
    assert 4 == intend(house).number
    with house.database.reading() as connection:
        assert ["delta", "full", "shard-1"] == crls.scopes(connection, house.generation)
        assert (2, 1) == (
            crls.latest(connection, house.generation, "delta").number,
            crls.latest(connection, house.generation, "delta").base_number,
        )
    assert b"full" == latest(house)[1]


def test_one_node_holds_a_lease(house):
    """Until it ends or is given back; the holder may extend it."""
    now = house.now

    def acquire(holder, at):
        with house.database.transaction() as connection:
            return leases.acquire(connection, "crl", holder, at, at + DAY)

    assert acquire("node-1", now)
    assert not acquire("node-2", now)
    assert acquire("node-1", now + SECOND)
    assert not acquire("node-2", now + DAY)
    assert acquire("node-2", now + SECOND + DAY)
    with house.database.transaction() as connection:
        assert not leases.release(connection, "crl", "node-1", at=now)
        assert leases.release(connection, "crl", "node-2", at=now + 2 * DAY, error="disk")
        (lease,) = leases.list(connection)
    assert (now + 2 * DAY, "disk") == (lease.last_run_at, lease.last_error)
    assert acquire("node-1", now + 2 * DAY)


def test_of_many_nodes_one_gets_a_new_lease(house, url):
    """The first run of a job, on several nodes at once."""
    others = [open_database(url) for _ in range(4)]
    got = []

    def acquire(number, database):
        with database.transaction() as connection:
            got.append(leases.acquire(connection, "crl", str(number), house.now, house.now + DAY))

    threads = [
        threading.Thread(target=acquire, args=(number, database))
        for number, database in enumerate(others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in others:
        database.close()

    assert [False, False, False, True] == sorted(got)


def test_a_clock_that_ran_back_stops_signing(house):
    """Beyond the tolerance nothing is stored; the time that was seen stays."""

    def guard(now):
        with house.database.transaction() as connection:
            clock.guard(connection, now, 5 * SECOND)
            return clock.seen(connection)

    assert house.now == guard(house.now)
    assert house.now == guard(house.now + SECOND / 2)
    assert house.now + DAY == guard(house.now + DAY)
    assert house.now + DAY == guard(house.now + DAY - 5 * SECOND)
    with pytest.raises(Unavailable, match="the clock says"):
        guard(house.now + DAY - 6 * SECOND)
    with house.database.transaction() as connection:
        clock.reset(connection, house.now)
    assert house.now == guard(house.now)


def test_a_clock_is_set_before_it_was_ever_seen(house):
    """An operator may do so on an empty database."""
    with house.database.transaction() as connection:
        assert clock.seen(connection) is None
        clock.reset(connection, house.now)
        assert house.now == clock.seen(connection)
