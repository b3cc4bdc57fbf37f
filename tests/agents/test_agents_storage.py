"""The plugin's tables: made by its revisions, on both databases."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hsm_agent.wire.messages import Key, Mark
from pikaserver.api.storage import Migrations
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.testing.patience import SECONDS
from pikaserver_agents.storage import agents, keys, marks, tables
from pikaserver_agents.storage.agents import AgentState, Identity, NewAgent
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.storage.tables import metadata

BRANCH = Migrations("agents", "pikaserver_agents.migrations", metadata)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    url = f"sqlite:///{tmp_path}/pikaserver.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    opened = open_database(url)
    upgrade(opened.engine, [BRANCH])
    yield opened
    opened.close()


def test_the_revisions_make_the_tables_that_the_code_knows(database):
    """Alembic finds nothing to add, to drop or to change."""
    options = {"include_name": lambda name, kind, _: kind != "table" or name.startswith("agents_")}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts=options | {"version_table": "agents_alembic_version"}
        )
        assert [] == compare_metadata(context, metadata)
    assert all(name.startswith("agents_") for name in tables.metadata.tables)


def enrol(database, name="vault-a"):
    """Register an agent."""
    identity = Identity(name.encode(), b"certificate", name.encode()[::-1])
    with database.transaction() as connection:
        new = NewAgent(name, AgentState.ENROLLED, by_hand=False, identity=identity, words="")
        assert agents.insert(connection, new, 0)


def test_nodes_that_hear_the_same_inventory_at_once_both_store_it(postgres):
    """An agent dials all nodes at once: neither may fail because the other one was faster."""
    url = postgres.url(postgres.create_database())
    nodes = [open_database(url), open_database(url)]
    upgrade(nodes[0].engine, [BRANCH])
    enrol(nodes[0])
    rows = [KeyRow("vault-a", b"hash", Key("hsm/one", "ec-p256", b"key", (), "ready"))]
    with nodes[0].transaction() as connection:
        keys.replace_keys(connection, "vault-a", rows)
        other = threading.Thread(target=replace, args=(nodes[1], rows))
        other.start()
        other.join(0.2)
        waited = other.is_alive()
    other.join(SECONDS)

    with nodes[1].reading() as connection:
        assert rows == keys.list_keys(connection)
    assert waited
    assert not other.is_alive()
    for node in nodes:
        node.close()


def replace(database, rows):
    with database.transaction() as connection:
        keys.replace_keys(connection, "vault-a", rows)


def test_each_node_notes_how_far_a_journal_is_and_the_newest_counts(database):
    """Nodes write rows of their own, so that none of them waits for another one."""
    enrol(database)
    with database.transaction() as connection:
        for node, index in ((1, 7), (2, 9), (1, 8), (2, 3)):
            marks.raise_told(connection, "vault-a", node, Mark(index, bytes([index])))
        assert marks.raise_mirrored(connection, "vault-a", marks.BEGINNING, Mark(4, b"4"))
        assert not marks.raise_mirrored(connection, "vault-a", marks.BEGINNING, Mark(5, b"5"))
        assert marks.raise_mirrored(connection, "vault-a", Mark(4, b"4"), Mark(6, b"6"))

    with database.reading() as connection:
        row = agents.find(connection, "vault-a")
        assert [row] == list(agents.list_all(connection))
    assert (Mark(9, b"\x09"), Mark(6, b"6")) == (row.mark, row.mirrored)
