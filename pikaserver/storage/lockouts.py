"""Who guesses too often has to wait: failures counted in the database, for all nodes."""

import hashlib
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import TooManyRequests
from pikaserver.api.operations import Clock
from pikaserver.api.prepared import Prepared
from pikaserver.api.storage import Database
from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.lockout_table import lockout

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=15)

_UNTIL = Prepared(select(lockout.c.until).where(lockout.c.key_hash == bindparam("of_key")))
_COUNT = select(lockout.c.failures).where(lockout.c.key_hash == bindparam("of_key"))
_OVER = delete(lockout).where(lockout.c.until <= bindparam("quiet_since", type_=UtcDateTime))
_ONE_MORE = (
    update(lockout)
    .where(lockout.c.key_hash == bindparam("of_key"))
    .values(failures=lockout.c.failures + 1)
)
_FIRST = insert(lockout).inline()
_WAIT = update(lockout).where(lockout.c.key_hash == bindparam("of_key"))
_FORGET = delete(lockout).where(lockout.c.key_hash == bindparam("of_key"))


class SharedLockouts:
    """See ``pikaserver.api.lockouts.Lockouts``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def named(self, name: str, allowed: int) -> "SharedLockout":
        """See the protocol."""
        return SharedLockout(self._database, self._clock, name, allowed)


class SharedLockout:
    """See ``pikaserver.api.lockouts.Lockout``.

    Keys are kept as hashes, and each failure throws out what was quiet for long: the table
    holds no more than half an hour of guessing.
    """

    def __init__(self, database: Database, clock: Clock, name: str, allowed: int) -> None:
        self._database = database
        self._clock = clock
        self._name = name
        self._allowed = allowed

    def check(self, key: str) -> None:
        """See the protocol."""
        until = self._until(key)
        now = self._clock()
        if until is not None and now < until:
            wait = ceil((until - now).total_seconds())
            raise TooManyRequests(
                f"too many wrong attempts; try again in {wait} seconds", retry_after=wait
            )

    def failed(self, key: str) -> None:
        """See the protocol."""
        now, digest = self._clock(), self._digest(key)
        with self._database.transaction() as connection:
            connection.execute(_OVER, {"quiet_since": now - _LONGEST_WAIT})
            _count_one(connection, digest, now)
            failures = connection.scalars(_COUNT, {"of_key": digest}).one()
            wait = {"of_key": digest, "until": now + self._wait(failures)}
            connection.execute(_WAIT, wait)

    def succeeded(self, key: str) -> None:
        """See the protocol; where there is nothing to forget, nothing is written."""
        if self._until(key) is None:
            return
        with self._database.transaction() as connection:
            connection.execute(_FORGET, {"of_key": self._digest(key)})

    def _until(self, key: str) -> datetime | None:
        with self._database.reading() as connection:
            row = _UNTIL.row(connection, {"of_key": self._digest(key)})
        return None if row is None else row[0]

    def _digest(self, key: str) -> bytes:
        return hashlib.sha256(f"{self._name}\0{key}".encode()).digest()

    def _wait(self, failures: int) -> timedelta:
        beyond = failures - self._allowed
        if beyond < 0:
            return timedelta(0)
        # The exponent is capped because the longest wait is reached long before.
        return min(_FIRST_WAIT * (1 << min(beyond, 10)), _LONGEST_WAIT)


def _count_one(connection: Connection, digest: bytes, now: datetime) -> None:
    """Count in one row, whoever else counts there at the same moment."""
    if connection.execute(_ONE_MORE, {"of_key": digest}).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(_FIRST, {"key_hash": digest, "failures": 1, "until": now})
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        connection.execute(_ONE_MORE, {"of_key": digest})
