"""A database that was made at the first revision, with rows: what was revoked stays revoked."""

import shutil
from contextlib import contextmanager
from datetime import timedelta
from importlib.resources import files

import pytest
from cryptography import x509
from sqlalchemy import Engine, create_engine, func, insert, inspect, literal, select

from pikaserver.api.certificates import CertificateStatus, RevocationReason
from pikaserver.api.crls import DELTA_CRL, shard_scope
from pikaserver.api.errors import Conflict
from pikaserver.api.storage import Migrations
from pikaserver.opening import open_server
from pikaserver.settings.loading import DATABASE_NAME, load
from pikaserver.storage import audit
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations import environment
from pikaserver.storage.tables import metadata
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from tests.road.crl_ground import HOLD, change, due, issued, latest, lists, revoke, value

FIRST = "initial_0001.py"


def first_schema(url, folder, monkeypatch):
    """Make a database with the tables of the first revision alone."""
    package = folder / "first_revisions"
    package.mkdir()
    (package / "__init__.py").touch()
    source = files("pikaserver.storage.migrations.versions") / FIRST
    (package / FIRST).write_text(source.read_text())
    monkeypatch.syspath_prepend(str(folder))
    database = open_database(url)
    with monkeypatch.context() as patched:
        patched.setattr(environment, "HOST", Migrations("pikaserver", package.name, metadata))
        environment.upgrade(database.engine)
    return database


def copy_rows(source: Engine, target: Engine):
    """Copy what the first schema has columns for, as if an old program had written it."""
    there = inspect(target)
    names_of = {
        table: [column["name"] for column in there.get_columns(table.name)]
        for table in metadata.sorted_tables
        if there.has_table(table.name)
    }
    with source.connect() as old, target.begin() as new:
        for table, names in names_of.items():
            found = old.execute(select(*(table.c[name] for name in names))).mappings()
            rows = [dict(row) for row in found]
            if rows:
                new.execute(insert(table), rows)
            if target.dialect.name == "postgresql":
                count_on(new, table)


def count_on(connection, table):
    """Let PostgreSQL's sequence go on after what was copied, as it would have."""
    column = next(iter(table.primary_key))
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
    if sequence is not None:
        highest = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
        connection.execute(select(func.setval(sequence, highest, literal(value=False))))


class Old:
    """What an old program left behind."""

    def __init__(self, folder, clock):
        self.clock = clock
        with make_server(folder, clock=clock) as server:
            records = [issued(server, f"{name}.example") for name in ("a", "b", "c", "d", "e")]
            self.good, gone, self.held, late, self.free = records
            self.revoked = [
                revoke(server, gone, RevocationReason.SUPERSEDED),
                revoke(server, self.held, HOLD),
            ]
            server.crls.issue("issuing")
            clock.advance(timedelta(minutes=1))
            server.release(revoke(server, self.free, HOLD), "test")
            server.crls.issue("issuing")
            clock.advance(timedelta(minutes=1))
            self.crl = server.crls.latest("issuing")
            self.revoked.append(revoke(server, late))


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path, monkeypatch):
    """A data folder whose database is as old as can be, and how to open it."""
    made = Old(tmp_path / "made", FrozenClock())
    folder = tmp_path / "data"
    shutil.copytree(tmp_path / "made", folder, ignore=shutil.ignore_patterns("*.db*"))
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    else:
        url = f"sqlite:///{folder / DATABASE_NAME}"
    database = first_schema(url, tmp_path, monkeypatch)
    source = create_engine(f"sqlite:///{tmp_path / 'made' / DATABASE_NAME}")
    copy_rows(source, database.engine)
    source.dispose()
    assert "scope" not in {one["name"] for one in inspect(database.engine).get_columns("crl")}
    database.close()

    @contextmanager
    def opened():
        settings = {"PIKASERVER__DATABASE__URL": url}
        with open_server(load(settings, data=folder), settings, clock=made.clock) as server:
            yield server

    made.opened = opened
    return made


def test_what_was_revoked_stays_revoked(old):
    """Its status, its reason, its place on the CRL; the good ones stay good."""
    with old.opened() as server:
        for before in old.revoked:
            after = server.certificates.get(before.id)
            assert (before.status, before.revocation) == (after.status, after.revocation)
        for record in (old.good, old.free):
            assert CertificateStatus.VALID is server.certificates.get(record.id).status
        with pytest.raises(Conflict, match="revoked already"):
            revoke(server, old.revoked[0])
        with server.database.reading() as connection:
            assert audit.verify(connection).problem is None

        assert ("issuing", "full") in due(server)
        assert {one.serial for one in old.revoked} == {one.serial_number for one in latest(server)}


def test_numbers_go_on(old):
    """The last CRL is served as it was; the next number follows."""
    with old.opened() as server:
        served = server.crls.latest("issuing")
        assert (old.crl.crl, old.crl.number) == (served.crl, served.number)
        assert ("full", None) == (served.scope, served.summary.base_number)

        (record,) = server.crls.issue("issuing")

        assert old.crl.number < record.number
        assert old.crl.this_update < record.this_update
    with old.opened() as server:
        assert record.number == server.crls.latest("issuing").number


def test_deltas_and_parts_begin_there(old):
    """A delta tells what came after the full CRL, nothing of the time before."""
    with old.opened() as server:
        change(server, crl_deltas=True, crl_shards=1)
        server.crls.issue("issuing")
        old.clock.advance(timedelta(minutes=1))
        new = issued(server, "new.example")
        revoke(server, new)
        server.release(server.certificates.get(old.held.id), "test")
        revoke(server, old.good)
        due(server)

        delta, part = latest(server, DELTA_CRL), latest(server, shard_scope(1))
        assert {new.serial, old.held.serial, old.good.serial} == {
            one.serial_number for one in delta
        }
        reason = value(lists(delta, old.held), x509.CRLReason).reason
        assert x509.ReasonFlags.remove_from_crl is reason
        assert {new.serial} == {one.serial_number for one in part}
