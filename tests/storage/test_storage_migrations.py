"""The schema and the branches of plugins."""

import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, inspect, text

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.storage import Migrations
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.branches import HOST, are_current, version_table
from pikaserver.storage.migrations.environment import state, upgrade
from pikaserver.storage.tables import metadata

ROOT = Path(__file__).parents[2]
NUMBERS = count()
REVISION = """
import os, signal
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
branch_labels = {labels!r}
depends_on = None


def upgrade():
    {body}
"""


class Plugin:
    """A package of revisions that a test writes."""

    def __init__(self, folder, name="acme"):
        self.package = f"plugin_{next(NUMBERS)}_migrations"
        self.folder = folder / self.package
        self.folder.mkdir()
        (self.folder / "__init__.py").write_text("")
        self.name, self.down = name, None

    def add(self, revision, body, labels=None):
        """Add the next revision."""
        if self.down is None and labels is None:
            labels = (self.name,)
        source = REVISION.format(revision=revision, down=self.down, labels=labels, body=body)
        (self.folder / f"{revision}.py").write_text(source)
        self.down = revision
        return self

    def migrations(self, *tables):
        """What the plugin's hook returns."""
        metadata = MetaData()
        for table in tables:
            Table(table, metadata, Column("id", Integer, primary_key=True))
        return Migrations(self.name, self.package, metadata)


def create(table):
    reference = "sa.Column('of', sa.Integer, sa.ForeignKey('certificate.id'))"
    return f"op.create_table('{table}', sa.Column('id', sa.Integer, primary_key=True), {reference})"


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Make plugins whose packages can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name="acme": Plugin(tmp_path, name)


@pytest.fixture
def database(empty_url):
    """An open database without tables."""
    opened = open_database(empty_url)
    yield opened
    opened.close()


def tables(database):
    with database.reading() as connection:
        return set(inspect(connection).get_table_names())


def test_the_revisions_make_exactly_the_tables_of_the_program(database):
    """What the program asks for in SQL is what the migrations create, on both databases."""
    upgrade(database.engine)

    with database.reading() as connection:
        options = {"version_table": version_table(HOST), "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert [] == compare_metadata(context, metadata)
    assert set(metadata.tables) | {"pikaserver_alembic_version"} == tables(database)


def test_an_upgrade_of_what_is_up_to_date_changes_nothing(database):
    """Each start upgrades; the state tells how far the database is."""
    (before,) = state(database.engine)
    upgrade(database.engine)
    changes = database.changes()

    upgrade(database.engine)

    (after,) = state(database.engine)
    assert (None, False, True) == (before.current, before.up_to_date, after.up_to_date)
    if database.engine.dialect.name == "sqlite":  # on PostgreSQL the lock alone is a transaction
        assert changes == database.changes()


def test_a_plugin_has_a_branch_of_its_own(database, plugin):
    """It is upgraded after the host, refers to its tables, and is left alone when disabled."""
    acme = plugin().add("0001", create("acme_order"))
    upgrade(database.engine, [acme.migrations("acme_order")])
    acme.add("0002", create("acme_account"))
    wanted = [acme.migrations("acme_order", "acme_account")]

    assert ["0001", "0002"] == [state(database.engine, wanted)[1].current, acme.down]
    upgrade(database.engine)
    assert "acme_account" not in tables(database)
    upgrade(database.engine, wanted)

    assert {"acme_order", "acme_account", "acme_alembic_version"} < tables(database)
    assert all(branch.up_to_date for branch in state(database.engine, wanted))


@pytest.mark.parametrize("said", [True, False])
def test_the_tables_of_a_plugin_begin_with_its_name(database, plugin, said):
    """Whether its metadata say so or its revisions just do it; nothing is changed."""
    acme = plugin().add("0001", create("orders"))

    with pytest.raises(ConfigurationError, match="'orders' of plugin 'acme' must be called acme_"):
        upgrade(database.engine, [acme.migrations(*(["orders"] if said else []))])

    assert set() == tables(database)


def test_a_database_newer_than_the_program_is_refused(database, plugin):
    """An old program must not write into tables that it does not understand."""
    acme = plugin().add("0001", create("acme_order")).add("0002", create("acme_account"))
    upgrade(database.engine, [acme.migrations()])
    (acme.folder / "0002.py").unlink()

    for deed in (upgrade, state):
        with pytest.raises(ConfigurationError, match=r"newer than this program.*'acme'.*'0002'"):
            deed(database.engine, [acme.migrations()])
    with database.transaction() as connection:
        connection.execute(text("UPDATE pikaserver_alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="'pikaserver' are at revision '9999'"):
        upgrade(database.engine)


def test_a_branch_must_be_in_order(database, plugin):
    """One line of revisions whose first one carries the plugin's name."""
    nameless = plugin().add("0001", "pass", labels=())
    forked = plugin().add("0001", "pass").add("0002", "pass")
    forked.down = "0001"
    forked.add("0003", "pass")
    missing = Migrations("acme", "no_such_package", MetaData())

    for branch, says in (
        (nameless.migrations(), r"must set branch_labels = \('acme',\)"),
        (forked.migrations(), "must hold one line of revisions"),
        (plugin().migrations(), "must hold one line of revisions"),
        (missing, "no_such_package with the revisions is missing"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            upgrade(database.engine, [branch])
    assert set() == tables(database)


def test_a_migration_that_fails_leaves_nothing(database, plugin):
    """All branches are upgraded, or none; the error is the migration's own."""
    acme = plugin().add("0001", create("acme_order")).add("0002", "raise ValueError('no')")

    with pytest.raises(ValueError, match="no"):
        upgrade(database.engine, [acme.migrations()])

    assert set() == tables(database)


def test_a_migration_may_rebuild_a_table_that_others_refer_to(database, plugin):
    """References are checked at the end; a broken one takes everything back."""
    upgrade(database.engine)
    with database.transaction() as connection:
        connection.execute(
            text("INSERT INTO template VALUES (1, 'web', 1, true)"),
        )
        connection.execute(text("INSERT INTO template_version VALUES (1, 1, 'a = 1', 1, 'eve')"))
    rebuild = "batch.alter_column('name', type_=sa.String(200))"
    acme = plugin().add("0001", f"with op.batch_alter_table('template') as batch: {rebuild}")

    upgrade(database.engine, [acme.migrations()])

    with database.reading() as connection:
        assert "web" == connection.execute(text("SELECT name FROM template")).scalar_one()
    acme.add("0002", "op.execute('DELETE FROM template')")
    with pytest.raises(Exception, match=r"(?i)break references|foreign key"):
        upgrade(database.engine, [acme.migrations()])
    with database.reading() as connection:
        assert 1 == connection.execute(text("SELECT count(*) FROM template")).scalar_one()
    with pytest.raises(Exception, match=r"(?i)foreign key"), database.transaction() as connection:
        connection.execute(text("DELETE FROM template"))


def test_two_programs_that_start_at_once_upgrade_once(empty_url):
    """The second one waits and finds the work done."""
    errors = []

    def start():
        database = open_database(empty_url)
        try:
            upgrade(database.engine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)
        database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == errors


def test_a_program_killed_in_a_migration_starts_again(empty_url, database, plugin):
    """Kill -9 between two statements: nothing half is left, the next start does it all."""
    kill = "os.environ.get('KILL') and os.kill(os.getpid(), signal.SIGKILL)"
    acme = plugin().add("0001", f"{create('acme_order')}\n    {kill}\n    {create('acme_account')}")
    script = (
        "import sys\n"
        "from sqlalchemy import MetaData\n"
        "from pikaserver.api.storage import Migrations\n"
        "from pikaserver.storage.database import open_database\n"
        "from pikaserver.storage.migrations.environment import upgrade\n"
        "upgrade(open_database(sys.argv[1]).engine,"
        " [Migrations('acme', sys.argv[2], MetaData())])\n"
    )
    path = os.pathsep.join([str(ROOT), str(acme.folder.parent)])

    killed = subprocess.run(
        [sys.executable, "-c", script, empty_url, acme.package],
        env=os.environ | {"PYTHONPATH": path, "KILL": "1"},
        check=False,
    )

    assert -signal.SIGKILL == killed.returncode
    assert set() == tables(database)
    upgrade(database.engine, [acme.migrations()])
    assert {"acme_order", "acme_account"} < tables(database)


def test_what_is_up_to_date_is_told_without_alembic(database, plugin):
    """A command of the CLI loads Alembic only where there is something to do."""
    made = plugin().add("acme_0001", create("acme_order"))
    migrations = made.migrations("acme_order")
    assert not are_current(database.engine)

    upgrade(database.engine, [migrations])

    assert are_current(database.engine, [migrations])
    made.add("acme_0002", "pass")
    assert not are_current(database.engine, [migrations])


def test_annotated_revisions_are_read_too(database, plugin):
    """Alembic's own template writes ``revision: str = ...``."""
    made = plugin().add("acme_0001", create("acme_order"))
    file = made.folder / "acme_0001.py"
    file.write_text(file.read_text().replace("revision =", "revision: str =", 1))

    upgrade(database.engine, [made.migrations("acme_order")])

    assert are_current(database.engine, [made.migrations("acme_order")])


def test_a_newer_database_is_left_to_alembic(database, plugin):
    """It names the revision that this program does not know; nothing is passed over."""
    newer = plugin().add("acme_0001", create("acme_order")).add("acme_0002", "pass")
    upgrade(database.engine, [newer.migrations("acme_order")])
    older = plugin().add("acme_0001", create("acme_order"))

    assert not are_current(database.engine, [older.migrations("acme_order")])
