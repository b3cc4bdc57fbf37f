"""CRLs of two nodes on one database, and of one that starts again."""

import shutil
import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from cryptography import x509
from sqlalchemy import select

from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.storage.tables import crl
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import HOSTNAME
from tests.road.crl_ground import HOLD, change, due, issued, latest, lists, revoke, value

ROUNDS = 8
SCOPES = {FULL_CRL, DELTA_CRL, shard_scope(1), shard_scope(2)}


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request):
    """Settings of a database; SQLite's is in the data folder."""
    if request.param == "sqlite":
        return {}
    cluster = request.getfixturevalue("postgres")
    return {"PIKASERVER__DATABASE__URL": cluster.url(cluster.create_database())}


@contextmanager
def node(folder, environment, number=1, clock=None):
    """Open a node's data as its process does."""
    own = environment | {"PIKASERVER__SERVER__NODE": str(number)}
    with open_server(load(own, data=folder), own, clock=clock or FrozenClock()) as server:
        yield server


@pytest.fixture
def folder(tmp_path, environment):
    made = tmp_path / "data"
    set_up(FirstStart(made, hostname=HOSTNAME), environment, FrozenClock())
    return made


def rows(server):
    columns = (crl.c.generation_id, crl.c.scope, crl.c.number, crl.c.state, crl.c.this_update)
    with server.database.reading() as connection:
        return connection.execute(select(*columns).order_by(crl.c.id)).all()


def test_two_nodes_that_sign_at_the_same_moment(tmp_path, postgres):
    """Every number once; what is served last lists whatever was revoked before."""
    environment = {"PIKASERVER__DATABASE__URL": postgres.url(postgres.create_database())}
    folder, other_folder = tmp_path / "data", tmp_path / "other"
    set_up(FirstStart(folder, hostname=HOSTNAME), environment, FrozenClock())
    shutil.copytree(folder, other_folder)
    clock = FrozenClock()
    with (
        node(folder, environment, 1, clock) as first,
        node(other_folder, environment, 2, clock) as second,
    ):
        change(first, crl_deltas=True, crl_shards=2)
        records = [issued(first, f"host-{number}.example") for number in range(2 * ROUNDS)]
        first.crls.issue("issuing")
        for number in range(ROUNDS):
            clock.advance(timedelta(seconds=1))
            at_once(
                partial(revoke, first, records[2 * number]),
                partial(revoke, second, records[2 * number + 1]),
                partial(first.crls.issue, "issuing"),
                partial(second.crls.issue, "issuing"),
            )
        clock.advance(timedelta(minutes=1))
        for server in (first, second):
            server.crls.issue_due()
            server.crls.issue("issuing")

        found = rows(first)
        numbers = {(row.generation_id, row.scope, row.number) for row in found}
        assert len(found) == len(numbers)
        assert {"issued"} == {row.state for row in found}
        for server in (first, second):
            assert all(lists(latest(server), record) for record in records)
            whole = [latest(server, shard_scope(number)) for number in (1, 2)]
            assert all(any(lists(part, record) for part in whole) for record in records)
        assert latest(first) == latest(second)


def at_once(*deeds):
    """Let deeds begin at the same moment; whatever one raises, the test raises."""
    together, errors = threading.Barrier(len(deeds)), []

    def run(deed):
        together.wait()
        try:
            deed()
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == errors


def test_deltas_and_parts_go_on_after_a_restart(folder, environment):
    """The delta goes with the full one from before, a certificate stays on its part."""
    clock = FrozenClock()
    with node(folder, environment, clock=clock) as server:
        change(server, crl_deltas=True, crl_shards=2)
        before, since, held = (issued(server, f"{name}.example") for name in ("a", "b", "c"))
        revoke(server, before)
        free = revoke(server, held, HOLD)
        server.crls.issue("issuing")
        full = latest(server)
        number = max(row.number for row in rows(server))
    clock.advance(timedelta(minutes=1))

    with node(folder, environment, clock=clock) as server:
        assert full == latest(server)
        assert set() == due(server)
        revoke(server, since)
        server.release(free, "test")
    clock.advance(timedelta(minutes=1))

    with node(folder, environment, clock=clock) as server:
        shards = {shard_scope(one.serial % 2 + 1) for one in (since, held)}
        assert {("issuing", scope) for scope in {DELTA_CRL} | shards} == due(server)
        delta = latest(server, DELTA_CRL)
        assert (
            value(full, x509.CRLNumber).crl_number
            == value(delta, x509.DeltaCRLIndicator).crl_number
        )
        assert number < value(delta, x509.CRLNumber).crl_number
        reason = value(lists(delta, held), x509.CRLReason).reason
        assert x509.ReasonFlags.remove_from_crl is reason
        assert lists(delta, since)
        assert lists(delta, before) is None
        assert lists(latest(server, shard_scope(since.serial % 2 + 1)), since)
        assert SCOPES == set(scopes(server))
        assert full == latest(server)


def scopes(server):
    return [one.scope for one in server.crls.summaries() if one.authority == "issuing"]
