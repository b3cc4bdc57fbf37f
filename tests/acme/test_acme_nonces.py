"""Nonces on several nodes, and on one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_server import FakeServer
from pikaserver_acme.jose import base64url
from pikaserver_acme.nonces import Nonces, Remembered
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.storage.tables import metadata


@pytest.fixture
def house():
    """A server whose database several nodes share."""
    found = FakeServer()
    with found.database.transaction() as connection:
        metadata.create_all(connection)
    return found


def node(house):
    return Nonces(house.database, house.secrets, house.clock, house.entropy)


def refused(nonces, nonce):
    with pytest.raises(AcmeError) as refusal:
        nonces.take(nonce)
    return refusal.value.problem.kind


def test_a_nonce_of_one_node_is_good_at_another_once(house):
    """Behind a balancer a client meets any node; a replay meets the other one."""
    first, second = node(house), node(house)
    nonce = first.make()

    second.take(nonce)

    assert "badNonce" == refused(first, nonce) == refused(second, nonce)


def test_a_nonce_survives_a_restart_used_or_not(house):
    """What was used stays so, and what was not can be."""
    before = node(house)
    used, unused = before.make(), before.make()
    before.take(used)

    after = node(house)

    assert "badNonce" == refused(after, used)
    after.take(unused)


def test_a_nonce_ends_and_is_forgotten(house):
    """After an hour nobody takes it, so nobody has to remember it."""
    nonces = node(house)
    nonce, used = nonces.make(), nonces.make()
    nonces.take(used)
    house.clock.advance(timedelta(hours=2))
    nonces.sweep()

    assert "badNonce" == refused(nonces, nonce) == refused(nonces, used)


def test_a_forged_nonce_is_refused(house):
    """Any bit of it."""
    nonces = node(house)
    octets = base64url.decode(nonces.make(), "it")

    for at in range(len(octets)):
        forged = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        assert "badNonce" == refused(nonces, base64url.encode(forged))


def test_a_process_alone_takes_its_own_only(house, monkeypatch):
    """With the embedded database; those from before a restart are not taken again."""
    monkeypatch.setattr(house.database, "commits", lambda: 1)
    before, after = node(house), Nonces(
        house.database, house.secrets, house.clock, CountedEntropy("another process")
    )  # fmt: skip
    nonce = before.make()
    before.take(nonce)

    assert "badNonce" == refused(before, nonce) == refused(after, nonce)
    assert "badNonce" == refused(after, before.make())
    after.take(after.make())


def test_threads_that_begin_together_are_one_process(house, monkeypatch):
    """The first requests come at once; the nonce of none is forgotten by that."""
    together, begun = threading.Barrier(2), []

    def commits():
        begun.append(threading.get_ident())
        with suppress(threading.BrokenBarrierError):
            together.wait(0.2)
        return 1

    monkeypatch.setattr(house.database, "commits", commits)
    nonces = node(house)

    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda _: nonces.make(), range(2)))

    assert 1 == len(begun)
    for one in made:
        nonces.take(one)


def test_what_is_remembered_has_an_end():
    """The oldest are refused unseen; none is ever taken twice."""
    remembered = Remembered(most=10)

    taken = [number for number in range(100) if remembered.spend(number)]

    assert list(range(100)) == taken
    assert not any(remembered.spend(number) for number in range(100))
    assert remembered.spend(100)
