"""The revisions make the tables that the program asks for."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pikaserver_acme.plugin import register_migrations


def test_the_revisions_make_exactly_the_tables_of_the_program(server):
    """Columns, types and indexes."""
    wanted = register_migrations()

    with server.database.reading() as connection:
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or name in wanted.metadata.tables,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert [] == compare_metadata(context, wanted.metadata)
