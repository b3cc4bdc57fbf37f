"""Certificates stored per second: two durable, audited transactions each, against the limit.

The limit is the same rows written by one thread with the driver's bare cursor, 16 certificates
per COMMIT, on the same disk in the same run.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
from measuring import arguments, print_facts, print_table, ratio
from sqlalchemy import Connection, insert

from pikaserver.clock import system_entropy
from pikaserver.storage import audit, certificates, templates
from pikaserver.storage.certificates import NewCertificate
from pikaserver.storage.database import EmbeddedOrServer, open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.storage.tables import authority, authority_generation
from pikaserver.testing.postgres import PostgresMissing, postgres_cluster

GROUP = 16
NOW = datetime(2026, 5, 1, tzinfo=UTC)
CERTIFICATE = (
    "INSERT INTO certificate (generation_id, serial, state, tbs_hash, tbs, key_hash, subject,"
    " subject_folded, not_before, not_after, template_id, template_version, door, requester,"
    " issued_at) VALUES (1, ?, 'intent', ?, ?, ?, ?, ?, 1, 2, 1, 1, 'est', 'code:4711', 1)"
    " RETURNING id"
)
NAMES = "INSERT INTO certificate_name VALUES (?, 0, ?), (?, 1, ?)"
HEAD = "UPDATE audit_chain SET sequence = ?, hash = ? WHERE node = 99"
LINE = "INSERT INTO audit_record VALUES (99, ?, 1, 'certificate.signed', 'code:4711', ?, ?)"
DONE = (
    "UPDATE certificate SET state = 'issued', certificate = ?, fingerprint = ?, tbs = NULL"
    " WHERE id = ?"
)
Execute = Callable[[str, tuple[object, ...]], list[tuple[object, ...]]]


def prepare(database: EmbeddedOrServer) -> None:
    """Make the tables, one authority of one generation, and one template."""
    upgrade(database.engine)
    with database.transaction() as connection:
        made = {"id": 1, "name": "issuing", "enabled": True, "settings": "{}", "created_at": NOW}
        connection.execute(insert(authority), made)
        made = {"id": 1, "authority_id": 1, "number": 1, "state": "active", "algorithm": "ed25519"}
        made |= {"public_key": b"", "revocations": 0, "created_at": NOW}
        connection.execute(insert(authority_generation), made)
        templates.save(connection, "web", "a = 1", at=NOW, by="benchmark")


def store(database: EmbeddedOrServer) -> None:
    """Store one certificate as the authority does: the intent, then the result."""
    text = (b"\x01" + system_entropy(17)).hex()
    name = f"host-{text}.example"
    new = NewCertificate(
        generation_id=1,
        serial=int(text, 16),
        tbs=bytes(600),
        key_hash=text.zfill(64),
        subject=f"CN={name},O=Example",
        names=(f"dns:{name}", f"dns:www.{name}"),
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        template_id=1,
        template_version=1,
        door="est",
        requester="code:4711",
        transaction=None,
        renews_id=None,
        issued_at=NOW,
    )
    with database.transaction() as connection:
        made = certificates.insert_intent(connection, new)
        note(connection, "certificate.signing", text)
    with database.transaction() as connection:
        certificates.complete(connection, made, bytes(700) + text.encode())
        note(connection, "certificate.signed", text)


def note(connection: Connection, event: str, serial: str) -> None:
    """Append to the audit trail."""
    fields = {"authority": "issuing", "serial": serial, "template": "web", "version": 1}
    audit.record(connection, node=1, at=NOW, event=event, actor="code:4711", fields=fields)


def per_second(deed: Callable[[], None], threads: int, seconds: float) -> float:
    """Repeat a deed in so many threads and return how often it was done per second."""
    end = time.perf_counter() + seconds
    done = [0] * threads

    def work(number: int) -> None:
        while time.perf_counter() < end:
            deed()
            done[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begin = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(done) / (time.perf_counter() - begin)


def limit(execute: Execute, seconds: float) -> float:
    """Return certificates per second of bare statements, a group of them per COMMIT."""
    execute("INSERT INTO audit_chain VALUES (99, 0, ?)", (bytes(32),))
    numbers = count(1)

    def line(text: str) -> None:
        number = next(numbers)
        execute(HEAD, (number, bytes(32)))
        execute(LINE, (number, f'{{"authority":"issuing","serial":"{text}"}}', bytes(32)))

    def group() -> None:
        execute("BEGIN", ())
        for _ in range(GROUP):
            text = (b"\x02" + system_entropy(17)).hex()
            name, key = f"host-{text}.example", text.zfill(64)
            subject = f"CN={name},O=Example"
            row = (text, bytes(32), bytes(600), key, subject, subject.lower())
            ((made,),) = execute(CERTIFICATE, row)
            execute(NAMES, (made, f"dns:{name}", made, f"dns:www.{name}"))
            line(text)
            execute(DONE, (bytes(736), key, made))
            line(text)
        execute("COMMIT", ())

    return per_second(group, 1, seconds) * GROUP


def rows(
    name: str, database: EmbeddedOrServer, execute: Execute, seconds: float
) -> list[tuple[object, ...]]:
    """Return one row for each number of threads."""
    prepare(database)
    best = limit(execute, seconds)
    found: list[tuple[object, ...]] = []
    for threads in (1, 8, 32):
        rate = per_second(lambda: store(database), threads, seconds)
        found.append((name, threads, rate, best, ratio(rate, best)))
    return found


def on_sqlite(folder: Path, seconds: float) -> list[tuple[object, ...]]:
    """Measure on the disk of the temporary folder."""
    path = folder / "pikaserver.db"
    with closing(open_database(f"sqlite:///{path}")) as database:
        driver = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=4000"):
            driver.execute(f"PRAGMA {pragma}")
        with closing(driver):
            return rows(
                "SQLite",
                database,
                lambda text, row: driver.execute(text, row).fetchall(),
                seconds,
            )


def on_postgresql(seconds: float) -> list[tuple[object, ...]]:
    """Measure on a throw-away cluster that flushes as in production."""
    with postgres_cluster(durable=True) as cluster:
        url = cluster.url(cluster.create_database())
        with closing(open_database(url)) as database:
            plain = url.replace("postgresql+psycopg", "postgresql")
            with psycopg.connect(plain, autocommit=True) as driver:

                def execute(text: str, row: tuple[object, ...]) -> list[tuple[object, ...]]:
                    found = driver.execute(text.replace("?", "%s").encode(), row or None)
                    return found.fetchall() if found.description else []

                return rows("PostgreSQL", database, execute, seconds)


def main() -> None:
    """Measure both databases."""
    seconds = arguments(__doc__).parse_args().seconds
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__, Path(folder))
        found = on_sqlite(Path(folder).absolute(), seconds)
    try:
        found += on_postgresql(seconds)
    except PostgresMissing as missing:
        print(missing)
    print_table(("database", "threads", "certificates/s", "limit/s", "of the limit"), found)


if __name__ == "__main__":
    main()
