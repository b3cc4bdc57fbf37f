"""The doctor on the database: reachable, up to date, whole, and not ahead of the clock."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.storage import Migrations
from pikaserver.cli.audit_records import last_records
from pikaserver.cli.databases import sqlite_file
from pikaserver.cli.doctor.findings import Finding, fine, problem
from pikaserver.clock import system_clock
from pikaserver.settings.loading import Settings
from pikaserver.storage import clock
from pikaserver.storage.database import EmbeddedOrServer, open_database
from pikaserver.storage.migrations.environment import state

_TOLERANCE = timedelta(seconds=10)


def database(settings: Settings, plugins: Sequence[Migrations]) -> Iterator[Finding]:
    """Look at the database without changing it; it ends with the first problem.

    Raises:
        StorageUnavailable: it cannot be reached.
    """
    file = sqlite_file(settings.host.database.url)
    if file is not None and not file.exists():
        advice = "Restore it from a backup, or let 'pikaserver up' begin anew."
        yield problem("database", f"there is no {file}", advice)
        return
    opened = open_database(settings.host.database.url)
    try:
        yield from _schema(opened, plugins)
        with opened.reading() as connection:
            yield from _file(connection)
            yield from _clock(connection)
    finally:
        opened.close()


def _schema(opened: EmbeddedOrServer, plugins: Sequence[Migrations]) -> Iterator[Finding]:
    behind = [one.branch for one in state(opened.engine, plugins) if not one.up_to_date]
    if behind:
        found = f"the tables of {', '.join(behind)} are not up to date"
        yield problem("schema", found, "Make a backup, then run 'pikaserver db upgrade'.")
    else:
        yield fine("schema", "up to date")


def _file(connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name != "sqlite":
        yield fine("database", "answers")
        return
    answer = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if answer == "ok":
        yield fine("database", "the file is whole")
    else:
        yield problem("database", f"the file is damaged: {answer}", "Restore it from a backup.")


def _clock(connection: Connection) -> Iterator[Finding]:
    now = system_clock()
    moments = [one.at for one in last_records(connection, 1, event=None, actor=None)]
    seen = clock.seen(connection)
    latest = max([*moments, *([seen] if seen else [])], default=None)
    if latest is not None and now < latest - _TOLERANCE:
        found = f"it says {now:%Y-%m-%d %H:%M:%S}, but it was {latest:%Y-%m-%d %H:%M:%S} before"
        hint = "Nothing is signed until the clock is right; if it is now: 'db accept-clock'."
        yield problem("clock", found, hint)
    else:
        yield fine("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
