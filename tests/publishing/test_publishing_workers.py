"""Threads that push as soon as there is something, each target in one of its own."""

import logging
import threading

import pytest

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.operations import CrlIssued, HealthState
from pikaserver.api.publishing import Target
from pikaserver.publishing import workers
from pikaserver.publishing.reports import Reports, rows
from pikaserver.publishing.workers import Publishing
from pikaserver.storage import leases

PATIENCE = 60


class Gate:
    """A publisher that waits until it is let through."""

    def __init__(self, name):
        self.name = name
        self.target = Target()
        self.open, self.entered = threading.Event(), threading.Event()
        self.got = []

    def publish(self, crl):
        """See ``pikaserver.api.publishing.Publisher``."""
        self.entered.set()
        assert self.open.wait(PATIENCE)
        self.got.append((crl.authority, crl.number))


@pytest.fixture
def publishing(house):
    """Start the threads of some publishers."""
    started = []

    def start(*publishers):
        queues = [house.queue(publisher) for publisher in publishers]
        made = Publishing(queues, house.ground, house.server.database.changes)
        house.server.events.add([made])
        made.start()
        started.append((made, publishers))
        return made

    yield start
    for made, publishers in started:
        for publisher in publishers:
            publisher.open.set()
        made.stop()


def wait_until(done):
    """Wait for what another thread does."""
    for _ in range(PATIENCE * 50):
        if done():
            return
        threading.Event().wait(0.02)
    raise TimeoutError


def test_a_target_that_hangs_keeps_no_other_waiting(house, publishing):
    """Each has a thread, and what is signed meanwhile goes out at once."""
    slow, quick = Gate("slow"), Gate("quick")
    quick.open.set()
    made = publishing(slow, quick)
    assert slow.entered.wait(PATIENCE)
    wait_until(lambda: len(quick.got) == 2)

    newest = house.issue()
    wait_until(lambda: ("issuing", newest) in quick.got)

    assert [] == slow.got
    wait_until(lambda: ["slow"] == [one.queue.name for one in made.workers if one.busy_since])
    slow.open.set()
    wait_until(lambda: ("issuing", newest) in slow.got)


def test_what_another_process_signs_is_found_too(house, publishing, monkeypatch):
    """The command line, or another node: no event comes from there."""
    gate = Gate("web")
    gate.open.set()
    made = publishing(gate)
    wait_until(lambda: len(gate.got) == 2)
    monkeypatch.setattr(made, "notice", lambda _: None)

    newest = house.issue()

    wait_until(lambda: ("issuing", newest) in gate.got)


def test_nothing_happens_while_nothing_is_new(house, publishing, monkeypatch):
    """An idle server leaves its disk alone."""
    gate = Gate("web")
    gate.open.set()
    publishing(gate)
    wait_until(lambda: len(gate.got) == 2)
    wait_until(lambda: not _leases(house))
    written = []
    transaction = house.server.database.transaction

    def counted():
        written.append(threading.current_thread().name)
        return transaction()

    # Not the database's own counter: a server shared with other tests counts for all of them.
    monkeypatch.setattr(house.server.database, "transaction", counted)
    threading.Event().wait(3 * workers.LOOK_SECONDS)

    assert [] == written


def _leases(house):
    """Return the leases that are held now."""
    with house.server.database.reading() as connection:
        return [one for one in leases.list(connection) if one.until != one.last_run_at]


def test_a_database_that_is_away_is_waited_for(house, publishing, monkeypatch, caplog):
    """The threads live on, and push when it is back."""
    monkeypatch.setattr(workers, "STORAGE_AWAY_SECONDS", 0.05)
    gate, away = Gate("web"), [True]
    gate.open.set()
    acquire = type(house.queue(gate).ledger).acquire

    def broken(ledger):
        if away:
            raise StorageUnavailable("the disk is full")
        return acquire(ledger)

    monkeypatch.setattr(type(house.queue(gate).ledger), "acquire", broken)
    with caplog.at_level(logging.WARNING):
        publishing(gate)
        wait_until(lambda: "cannot publish" in caplog.text)
        assert [] == gate.got
        away.clear()

        wait_until(lambda: len(gate.got) == 2)


def test_stopping_waits_for_what_is_being_pushed_and_starts_nothing_new(publishing):
    """The next start goes on from there."""
    gate = Gate("web")
    made = publishing(gate)
    assert gate.entered.wait(PATIENCE)
    stopping = threading.Thread(target=made.stop)
    stopping.start()
    wait_until(lambda: all(worker.queue.stopping for worker in made.workers))
    gate.open.set()
    stopping.join(PATIENCE)

    assert 1 == len(gate.got)
    again = Gate("web")
    again.open.set()
    publishing(again)
    wait_until(lambda: len(again.got) == 1)
    assert {"root", "issuing"} == {name for name, _ in gate.got + again.got}


def test_a_long_delivery_keeps_its_lease(publishing, monkeypatch):
    """Else another node would push beside it."""
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(workers, "LEASE", workers.LEASE / 1000)
    gate = Gate("web")
    made = publishing(gate)
    assert gate.entered.wait(PATIENCE)
    renewed = []
    ledger = type(made.workers[0].queue.ledger)
    acquire = ledger.acquire
    monkeypatch.setattr(ledger, "acquire", lambda one: renewed.append(1) or acquire(one))

    wait_until(lambda: len(renewed) >= 3)


def test_an_event_of_another_kind_wakes_nobody(house):
    """Only what was signed or revoked."""
    made = Publishing([], house.ground, house.server.database.changes)
    made.notice(object())
    assert not made._wake.is_set()  # noqa: SLF001 - there is nothing else to see
    made.notice(CrlIssued(house.server.crls.latest("issuing")))
    assert made._wake.is_set()  # noqa: SLF001 - see above


def test_reports_tell_of_targets_that_fail(house, shelf, monkeypatch):
    """In the readiness, in metrics, and row by row."""
    shelf.refuse = _refuse
    queue = house.queue(shelf)
    publishing = Publishing([queue], house.ground, house.server.database.changes)
    reports = Reports(publishing, house.ground.supply)
    assert HealthState.OK is reports.check().state
    assert {"pikaserver_publish_waiting": 2.0} == _first(reports)

    house.run(queue)

    health = reports.check()
    assert HealthState.DEGRADED is health.state
    assert "shelf: crl of issuing.g1 full refused since" in health.detail
    assert "RuntimeError: no room" in health.detail
    values = {metric.name: metric.read()[0].value for metric in reports.metrics()}
    assert {
        "pikaserver_publish_waiting": 2.0,
        "pikaserver_publish_failures": 2.0,
        "pikaserver_publish_delivered_total": 0.0,
        "pikaserver_publish_failed_total": 2.0,
    } == values
    found = rows(queue, house.ground.supply(), house.clock())
    assert ["lacks 2", "failing, waiting", "failing, waiting"] == [row["state"] for row in found]
    monkeypatch.setattr(publishing.workers[0], "busy_since", -10_000.0)
    assert "shelf has been busy for" in reports.check().detail


def _refuse(_):
    raise RuntimeError("no room")


def _first(reports):
    metric = reports.metrics()[0]
    return {metric.name: metric.read()[0].value}
