"""Connections for reading are kept, and each block has a view of its own."""

import pytest

from pikaserver.api.errors import NotFound
from pikaserver.storage import revisions, templates


def number(database):
    with database.reading() as connection:
        return revisions.number(connection)


def test_the_next_block_sees_what_was_committed_since(database):
    """A kept connection does not keep its view."""
    before = number(database)

    with database.transaction() as connection:
        revisions.advance(connection)

    assert before + 1 == number(database)


def test_a_block_keeps_its_view_and_its_connection(database):
    """Blocks inside each other, and in several threads, never share one."""
    with database.reading() as outer:
        before = revisions.number(outer)
        with database.transaction() as connection:
            revisions.advance(connection)
        with database.reading() as inner:
            assert inner is not outer
            assert before + 1 == revisions.number(inner)
        assert before == revisions.number(outer)


def test_a_connection_is_used_again(database):
    """To take one from the pool costs more than a short query."""
    with database.reading() as first:
        pass
    with database.reading() as second:
        assert first is second


def test_an_error_inside_a_block_leaves_the_next_one_whole(database):
    """Whatever went wrong in a block, its view ends with it."""
    before = number(database)
    with pytest.raises(NotFound), database.reading() as connection:
        templates.get(connection, "nothing")

    assert before == number(database)
