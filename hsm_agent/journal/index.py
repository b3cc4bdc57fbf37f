"""The index of the journal: what decisions look up, in one SQLite file that can be made again."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from hsm_agent.journal.line import BEGINNING
from hsm_agent.journal.recent_uses import KEPT, MOST_TOLD_APART, RecentUses
from hsm_agent.journal.relay_windows import WIDTH, RelayWindow
from hsm_agent.journal.uses import Use
from hsm_agent.policy.memory import CrlMark
from hsm_agent.structures.kinds import SELF_SIGNED
from hsm_agent.wire.messages import Mark

VERSION = 1
BUSY_SECONDS = 1.0
"""Nobody else writes the index; whoever holds it for longer is in the way."""

_TABLES = f"""
BEGIN;
CREATE TABLE mark (one INTEGER PRIMARY KEY, line INTEGER, head BLOB);
CREATE TABLE keys (id INTEGER PRIMARY KEY, hash BLOB UNIQUE, self_signed BLOB, profile TEXT);
CREATE TABLE serials (
  key INTEGER, serial BLOB, tbs BLOB, not_after INTEGER, PRIMARY KEY (key, serial)
) WITHOUT ROWID;
CREATE TABLE recent (
  key INTEGER, tbs BLOB, kind TEXT, ts INTEGER, PRIMARY KEY (key, tbs)
) WITHOUT ROWID;
CREATE INDEX recent_ts ON recent (ts);
CREATE TABLE approved (key INTEGER, tbs BLOB, PRIMARY KEY (key, tbs)) WITHOUT ROWID;
CREATE TABLE crls (list BLOB PRIMARY KEY, number BLOB, this_update TEXT, tbs BLOB) WITHOUT ROWID;
CREATE TABLE listed (list BLOB, serial BLOB, PRIMARY KEY (list, serial)) WITHOUT ROWID;
CREATE TABLE begun (name TEXT PRIMARY KEY, profile TEXT, key_type TEXT) WITHOUT ROWID;
CREATE TABLE relays (asking BLOB PRIMARY KEY, highest INTEGER, seen BLOB) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT;
"""


def list_id(key: bytes, scope: str) -> bytes:
    """Return what names the CRLs of one scope of one key in the index."""
    return hashlib.sha256(key + scope.encode(errors="backslashreplace")).digest()[:16]


class Index:
    """The file; one thread at a time, but for `listed`.  Everything may raise `sqlite3.Error`.

    What `add` notes is collected and written many at once; nobody who asks can tell.
    """

    def __init__(self, path: Path) -> None:
        """Open an index; one that is damaged or of another version is made again, empty."""
        self._path = path
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError:
            for part in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
                part.unlink(missing_ok=True)
            self._db = _open(path)
        self._ids: dict[bytes, int] = {}
        self._profiles: dict[bytes, str | None] = {}
        self._collected: list[Use] = []
        self._collected_serials: dict[tuple[bytes, int], tuple[bytes, int]] = {}

    def mark(self) -> Mark:
        """Return the last line that the index knows of."""
        row = self._db.execute("SELECT line, head FROM mark").fetchone()
        return Mark(*row) if row else BEGINNING

    def set_mark(self, mark: Mark) -> None:
        """Note that all lines up to this one are in."""
        self._db.execute("REPLACE INTO mark VALUES (1, ?, ?)", (mark.index, mark.head))

    def commit(self) -> None:
        """Keep everything up to now, should the process die."""
        self._write()
        self._db.commit()

    def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._db.rollback()
        for known in (self._ids, self._profiles, self._collected, self._collected_serials):
            known.clear()

    def close(self) -> None:
        """Keep everything and close the file."""
        self.commit()
        self._db.close()

    def checkpoint(self) -> None:
        """Bring what was kept into the file itself; for any thread, nobody waits for it."""
        with closing(sqlite3.connect(self._path)) as other:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def add(self, use: Use) -> None:
        """Note a structure that was allowed."""
        self._collected.append(use)
        if use.serial >= 0:
            self._collected_serials.setdefault((use.key, use.serial), (use.tbs_hash, use.not_after))

    def _write(self) -> None:
        """Write what was collected; should that fail, it stays collected."""
        uses = self._collected
        if not uses:
            return
        self._db.executemany(
            "INSERT INTO recent VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET ts = max(ts, excluded.ts)",
            [(self._id(use.key), use.tbs_hash, use.kind, use.ts) for use in uses],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO serials VALUES (?, ?, ?, ?)",
            [
                (self._id(key), _octets(serial), *told)
                for (key, serial), told in self._collected_serials.items()
            ],
        )
        for use in uses:
            self._write_rare(use)
        self._collected.clear()
        self._collected_serials.clear()

    def _write_rare(self, use: Use) -> None:
        key, run = self._id(use.key), self._db.execute
        if use.approved:
            run("INSERT OR IGNORE INTO approved VALUES (?, ?)", (key, use.tbs_hash))
        if use.kind == SELF_SIGNED:
            run(
                "UPDATE keys SET self_signed = coalesce(self_signed, ?) WHERE id = ?",
                (use.tbs_hash, key),
            )
        if use.crl is not None:
            self._write_crl(list_id(use.key, use.scope), use.crl)

    def _write_crl(self, crl_list: bytes, mark: CrlMark) -> None:
        before = self._crl(crl_list)
        if before is None or before.number < mark.number:
            row = (crl_list, _octets(mark.number), mark.this_update.isoformat(), mark.tbs_hash)
            self._db.execute("REPLACE INTO crls VALUES (?, ?, ?, ?)", row)

    def serial_use(self, key: bytes, serial: int) -> tuple[bytes, int] | None:
        """Return hash and end of validity (milliseconds) of what got a serial, if anything did."""
        question = "SELECT tbs, not_after FROM serials WHERE key = ? AND serial = ?"
        row = self._db.execute(question, (self._id(key), _octets(serial))).fetchone()
        return (row[0], row[1]) if row else self._collected_serials.get((key, serial))

    def crl(self, crl_list: bytes) -> CrlMark | None:
        """Return the CRL with the highest number."""
        self._write()
        return self._crl(crl_list)

    def _crl(self, crl_list: bytes) -> CrlMark | None:
        question = "SELECT number, this_update, tbs FROM crls WHERE list = ?"
        row = self._db.execute(question, (crl_list,)).fetchone()
        if row is None:
            return None
        return CrlMark(int.from_bytes(row[0], "big"), datetime.fromisoformat(row[1]), row[2])

    def self_signed(self, key: bytes) -> bytes | None:
        """Return the hash of the first self-signed structure."""
        self._write()
        question = "SELECT self_signed FROM keys WHERE id = ?"
        found: bytes | None = self._db.execute(question, (self._id(key),)).fetchone()[0]
        return found

    def approved(self, key: bytes, tbs_hash: bytes) -> bool:
        """Tell whether a structure was signed with the approvals that it needed."""
        self._write()
        question = "SELECT 1 FROM approved WHERE key = ? AND tbs = ?"
        return self._db.execute(question, (self._id(key), tbs_hash)).fetchone() is not None

    def change_listed(self, crl_list: bytes, added: Iterable[bytes], left: Iterable[bytes]) -> None:
        """Note serials that came to the CRLs of a scope, and those that left them."""
        rows = ((crl_list, serial) for serial in added)
        self._db.executemany("INSERT OR IGNORE INTO listed VALUES (?, ?)", rows)
        rows = ((crl_list, serial) for serial in left)
        self._db.executemany("DELETE FROM listed WHERE list = ? AND serial = ?", rows)

    def listed(self, crl_list: bytes) -> Iterator[bytes]:
        """Yield the serials on the last CRL of a scope in order, as of the last commit."""
        with closing(sqlite3.connect(self._path)) as other:
            question = "SELECT serial FROM listed WHERE list = ? ORDER BY serial"
            for row in other.execute(question, (crl_list,)):
                yield row[0]

    def begin(self, name: str, profile: str, key_type: str) -> None:
        """Note that a key is being made."""
        self._db.execute("REPLACE INTO begun VALUES (?, ?, ?)", (name, profile, key_type))

    def begun(self, name: str) -> tuple[str, str] | None:
        """Return profile and key type of a key whose making was begun and not ended."""
        question = "SELECT profile, key_type FROM begun WHERE name = ?"
        row = self._db.execute(question, (name,)).fetchone()
        return (row[0], row[1]) if row else None

    def end(self, name: str, key: bytes = b"", profile: str = "") -> None:
        """Note that a key was made, or (without ``key``) that none was."""
        self._db.execute("DELETE FROM begun WHERE name = ?", (name,))
        if key:
            self._profiles.pop(key, None)
            self._db.execute("UPDATE keys SET profile = ? WHERE id = ?", (profile, self._id(key)))

    def profile(self, key: bytes) -> str | None:
        """Return the profile under which a key was made from afar."""
        if key not in self._profiles:
            question = "SELECT profile FROM keys WHERE id = ?"
            row = self._db.execute(question, (self._id(key),)).fetchone()
            self._profiles[key] = row[0]
        return self._profiles[key]

    def set_relay(self, asking: bytes, window: RelayWindow) -> None:
        """Keep the window of an asking key."""
        row = (asking, window.highest, window.seen.to_bytes(WIDTH // 8, "big"))
        self._db.execute("REPLACE INTO relays VALUES (?, ?, ?)", row)

    def relays(self) -> dict[bytes, RelayWindow]:
        """Return all windows."""
        rows = self._db.execute("SELECT asking, highest, seen FROM relays")
        return {row[0]: RelayWindow(row[1], int.from_bytes(row[2], "big")) for row in rows}

    def forget_old(self, now: int) -> None:
        """Forget the structures that no rate counts any more."""
        self._write()
        self._db.execute("DELETE FROM recent WHERE ts < ?", (now - KEPT,))

    def recent_uses(self) -> RecentUses:
        """Return the counters."""
        recent = RecentUses()
        row = self._db.execute(
            "SELECT ts FROM recent ORDER BY ts DESC LIMIT 1 OFFSET ?", (MOST_TOLD_APART,)
        ).fetchone()
        oldest = row[0] if row else -1
        for hash_, kind, ts, count in self._db.execute(
            "SELECT hash, kind, max(ts), count(*) FROM recent JOIN keys ON id = key"
            " WHERE ts <= ? GROUP BY hash, kind, ts / 1000",
            (oldest,),
        ):
            recent.add_untold(hash_, kind, ts, count)
        for hash_, kind, tbs, ts in self._db.execute(
            "SELECT hash, kind, tbs, ts FROM recent JOIN keys ON id = key WHERE ts > ? ORDER BY ts",
            (oldest,),
        ):
            recent.add(hash_, kind, tbs, ts)
        return recent

    def _id(self, key: bytes) -> int:
        found = self._ids.get(key)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO keys (hash) VALUES (?)", (key,))
            row = self._db.execute("SELECT id FROM keys WHERE hash = ?", (key,)).fetchone()
            found = self._ids[key] = int(row[0])
        return found


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0"):
            db.execute(f"PRAGMA {pragma}")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.executescript(_TABLES)
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"an index of version {version}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
