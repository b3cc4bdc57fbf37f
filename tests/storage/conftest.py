"""Every test of storage runs on SQLite and on PostgreSQL."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from pikaserver.api.certificates import CertificateQuery, Revocation, RevocationReason
from pikaserver.storage import certificates, templates
from pikaserver.storage.certificates import NewCertificate
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.storage.tables import authority, authority_generation

KEY_COMPROMISE = RevocationReason.KEY_COMPROMISE
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _migrated(url):
    database = open_database(url)
    upgrade(database.engine)
    database.close()


@pytest.fixture(scope="session")
def postgres_names(postgres):
    """Two databases for the session: one with all tables, one without any."""
    names = postgres.create_database(), postgres.create_database()
    _migrated(postgres.url(names[0]))
    return names


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    cluster, (_, name) = map(request.getfixturevalue, ("postgres", "postgres_names"))
    cluster.drop_tables(name)
    return cluster.url(name)


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    """The URL of a SQLite file with all tables."""
    shutil.copy(sqlite_template, tmp_path / "pikaserver.db")
    return f"sqlite:///{tmp_path}/pikaserver.db"


@pytest.fixture
def postgres_url(postgres, postgres_names):
    """The URL of a PostgreSQL database with all tables, and nothing in them."""
    postgres.clear(postgres_names[0])
    return postgres.url(postgres_names[0])


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """The URL of a database with all tables."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return request.getfixturevalue(name)


@pytest.fixture
def database(url):
    """An open database with all tables."""
    opened = open_database(url, patience=60)
    yield opened
    opened.close()


class House:
    """An authority of one generation with the templates ``web`` and ``device``."""

    now = NOW

    def __init__(self, database):
        self.database = database
        with database.transaction() as connection:
            self.generation = self.add_authority(connection, "issuing")
            templates.save(connection, "web", "a = 1", at=NOW, by="tests")
            templates.save(connection, "device", "a = 1", at=NOW, by="tests")
            self.web = templates.get(connection, "web").id
            self.device = templates.get(connection, "device").id

    @staticmethod
    def add_authority(connection, name):
        """Add an authority and return the id of its generation."""
        made = insert(authority).returning(authority.c.id)
        authority_id = connection.execute(
            made, {"name": name, "enabled": True, "settings": "{}", "created_at": NOW}
        ).scalar_one()
        made = insert(authority_generation).returning(authority_generation.c.id)
        return connection.execute(
            made,
            {
                "authority_id": authority_id,
                "number": 1,
                "state": "active",
                "revocations": 0,
                "algorithm": "ecdsa-sha256",
                "public_key": b"spki",
                "created_at": NOW,
            },
        ).scalar_one()

    def new(self, serial, **changes):
        """A certificate to be, valid for a day around NOW."""
        values = {
            "generation_id": self.generation,
            "serial": serial,
            "tbs": b"tbs %d" % serial,
            "key_hash": f"{serial:064x}",
            "subject": f"CN=host-{serial}.example,O=Example",
            "names": (f"dns:host-{serial}.example",),
            "not_before": NOW - timedelta(hours=12),
            "not_after": NOW + timedelta(hours=12),
            "template_id": self.web,
            "template_version": 1,
            "door": "est",
            "requester": "code:4711",
            "transaction": None,
            "renews_id": None,
            "issued_at": NOW,
        }
        return NewCertificate(**(values | changes))

    def issued(self, serial, **changes):
        """Store an issued certificate and return its id."""
        with self.database.transaction() as connection:
            made = certificates.insert_intent(connection, self.new(serial, **changes))
            certificates.complete(connection, made, b"certificate %d" % serial)
        return made

    def intend(self, serial, **changes):
        """Store the intent of a certificate and return its id."""
        with self.database.transaction() as connection:
            return certificates.insert_intent(connection, self.new(serial, **changes))

    def revoke(self, certificate_id, reason=KEY_COMPROMISE, at=NOW, entry=b"entry"):
        """Revoke or hold; tell whether that was so."""
        with self.database.transaction() as connection:
            return certificates.revoke(
                connection,
                certificate_id,
                Revocation(at, reason),
                crl_entry=entry,
                number=1,
            )

    def release(self, certificate_id):
        """Release from hold; tell whether that was so."""
        with self.database.transaction() as connection:
            return certificates.release(connection, certificate_id)

    def get(self, certificate_id, now=NOW):
        """Read one certificate."""
        with self.database.reading() as connection:
            return certificates.get(connection, certificate_id, now)

    def find(self, **query):
        """Return the serials of what a query finds."""
        with self.database.reading() as connection:
            found = certificates.find(connection, CertificateQuery(**query), NOW)
        return [record.serial for record in found]


@pytest.fixture
def house(database):
    """A database with one authority and two templates."""
    return House(database)
