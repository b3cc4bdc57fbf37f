"""Pairs that were issued before the database knew of any: found after the upgrade."""

import shutil

import pytest
from sqlalchemy import create_engine, inspect

from pikaserver.opening import open_server
from pikaserver.settings.loading import DATABASE_NAME, load
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from tests.road.pair_ground import asked, document, first_csr, prepare, second_csr
from tests.storage.test_rows_of_the_first_schema import copy_rows, first_schema


def nameless(text):
    """Return a template whose certificates say neither what was asked nor any name."""
    text = text.replace('from-request = ["CN", "serialNumber"]', "from-request = []")
    return text.replace('required = ["CN"]', 'fixed = { O = "Example" }')


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_upgrade_reads_what_certificates_are_bound_to(request, tmp_path, monkeypatch, kind):
    """Of several, among others that are bound to nothing; the second has no name in common."""
    clock, folder = FrozenClock(), tmp_path / "data"
    with make_server(tmp_path / "made", clock=clock) as server:
        prepare(server)
        server.templates.save("quantum", nameless(document()), "test")
        pairs = [
            server.pairs.enroll(asked(first_csr(name, names=[])), second_csr(name, names=[]))
            for name in ("plc-1", "plc-2")
        ]
        server.enroll(asked(first_csr("plc-3"), "device"))
    shutil.copytree(tmp_path / "made", folder, ignore=shutil.ignore_patterns("*.db*"))
    url = f"sqlite:///{folder / DATABASE_NAME}"
    if kind == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    database = first_schema(url, tmp_path, monkeypatch)
    source = create_engine(f"sqlite:///{tmp_path / 'made' / DATABASE_NAME}")
    copy_rows(source, database.engine)
    source.dispose()
    columns = inspect(database.engine).get_columns("certificate")
    database.close()
    settings = {"PIKASERVER__DATABASE__URL": url}

    with open_server(load(settings, data=folder), settings, clock=clock) as server:
        assert "related" not in {one["name"] for one in columns}
        for pair in pairs:
            first, second = pair.first.record, pair.second.record
            assert ("O=Example", ()) == (second.subject, second.names)
            assert [second.id] == [one.id for one in server.pairs.of(first)]
            assert [first.id] == [one.id for one in server.pairs.of(second)]
