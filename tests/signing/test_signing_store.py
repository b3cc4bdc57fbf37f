"""Sealed keys in a real table."""

from contextlib import contextmanager

import pytest
import sqlalchemy

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.signing import KeyReference
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software import SoftwareBackend
from pikaserver.storage.keys import DatabaseKeyStore
from pikaserver.storage.tables import metadata, software_key


class PlainDatabase:
    """The `Database` role over one engine, without grouping."""

    def __init__(self, engine):
        self.engine = engine

    @contextmanager
    def transaction(self):
        """Commit at the end."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self):
        """Read only."""
        with self.engine.connect() as connection:
            yield connection


@pytest.fixture
def table(tmp_path):
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/keys.db")
    metadata.create_all(engine, [software_key])
    yield DatabaseKeyStore(PlainDatabase(engine))
    engine.dispose()


def test_a_key_survives_in_the_database(table, kek, entropy, store, backend):
    """All columns come back; the key signs."""
    backend.generate(KeyReference("software", "b"), "ec-p256", exportable=True)
    backend.generate(KeyReference("software", "a"), "ed25519", exportable=False)
    for row in store.all():
        table.add(row)

    assert store.all() == table.all()
    assert store.get("b") == table.get("b")
    opened = SoftwareBackend(table, kek, lambda: None, entropy)
    signer = opened.open(KeyReference("software", "a"), "ed25519")
    assert sign_tbs(signer, b"tbs", table.get("a").public_key)


def test_names_are_unique_and_removal_is_real(table, store, backend):
    """The database decides, not a look before the leap."""
    backend.generate(KeyReference("software", "a"), "ed25519", exportable=False)
    row = store.get("a")
    table.add(row)

    with pytest.raises(Conflict, match="a already"):
        table.add(row)
    table.remove("a")
    assert [] == table.all()
    for ask in (table.get, table.remove):
        with pytest.raises(NotFound):
            ask("a")
