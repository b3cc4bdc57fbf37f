"""The plugin's tables on both databases."""

from datetime import timedelta

import pytest

from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver_rest import storage

NAME, WISH, OTHER = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    url = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    with make_server(tmp_path_factory.mktemp("tables") / "data", database_url=url) as server:
        yield server.database


def test_a_key_stands_for_its_first_wish_for_a_day(database):
    """Then for whatever comes next."""
    clock = FrozenClock()
    with database.transaction() as connection:
        assert WISH == storage.wish_of_key(connection, NAME, WISH, clock())
        assert WISH == storage.wish_of_key(connection, NAME, OTHER, clock())
        clock.advance(storage.KEPT - timedelta(seconds=1))
        assert WISH == storage.wish_of_key(connection, NAME, OTHER, clock())
        clock.advance(timedelta(seconds=1))
        assert OTHER == storage.wish_of_key(connection, NAME, OTHER, clock())
        assert 0 == storage.forget_old_keys(connection, clock())
        clock.advance(storage.KEPT)
        assert 1 == storage.forget_old_keys(connection, clock())


def test_a_request_stays_whose_it_was(database):
    """Whoever comes second with it; and nobody's is none."""
    with database.transaction() as connection:
        storage.note_requester(connection, 7, NAME)
        storage.note_requester(connection, 7, OTHER)

        assert NAME == storage.requester_of(connection, 7)
        assert storage.requester_of(connection, 8) is None
