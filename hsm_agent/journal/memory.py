"""What the agent remembers of its journal, for the policy."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.index import list_id
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import Line
from hsm_agent.journal.remembered import Remembered
from hsm_agent.journal.uses import Use
from hsm_agent.policy.memory import CrlMark
from hsm_agent.private_files import make_private_folder
from hsm_agent.structures.kinds import SELF_SIGNED
from hsm_agent.wire.messages import Mark

KEEPING = 2.0
"""Seconds between two commits of the index while it changes."""
KEEPINGS_PER_FORGETTING = 1800


@dataclass(frozen=True, slots=True)
class Changes:
    """Serials (content octets of INTEGERs) that a new CRL of a scope has more, and has no more."""

    added: list[bytes]
    left: list[bytes]


class _Looking:
    """For one thread at a time; faults of the index become those of the journal."""

    def __init__(self, lock: Lock, known: Remembered) -> None:
        self._lock = lock
        self._known = known

    def __enter__(self) -> Remembered:
        self._lock.acquire()
        return self._known

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._lock.release()
        if isinstance(error, sqlite3.Error):
            raise JournalFault(f"the index of the journal: {error}") from error


class JournalMemory:
    """The policy's memory: everything in the journal, and what is just being written there.

    An index in ``folder`` spares reading the whole journal at start; it is made again from the
    journal where it is missing or damaged.
    """

    def __init__(self, journal: Journal, folder: Path) -> None:
        """Take in what the index lacks.

        Raises:
            JournalFault: the journal is not the one that the index was made from.
        """
        self._lock = Lock()
        self._deciding: dict[bytes, Lock] = defaultdict(Lock)
        self._reserved: dict[bytes, list[Use]] = defaultdict(list)
        self._closed = Event()
        make_private_folder(folder)
        self._known = Remembered(journal, folder / "journal-index")
        self._looking = _Looking(self._lock, self._known)
        journal.watch(self._take_in)
        self._thread = Thread(target=self._keep, name="journal index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write the index; lines that come later are taken in at the next start."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            self._known.close()

    @contextmanager
    def deciding(self, key: bytes) -> Iterator[None]:
        """Hold the one lock of a key, from a decision until it is reserved.

        Raises:
            JournalFault: the memory has gaps that it cannot close now.
        """
        with self._lock:
            lock = self._deciding[key]
        with lock:
            with self._looking as known:
                known.catch_up()
            yield

    def reserve(self, line: Line) -> Use:
        """Remember what a ``sign`` line will say, until `release`; call it while `deciding`."""
        use = Use.of(line)
        with self._lock:
            self._reserved[use.key].append(use)
        return use

    def release(self, use: Use) -> None:
        """Forget a reservation: its line is on disk now, or never will be."""
        with self._lock:
            self._reserved[use.key].remove(use)

    def serial_use(self, key: bytes, serial: int) -> bytes | None:
        """See ``hsm_agent.policy.memory.Memory``."""
        with self._looking as known:
            for use in self._reserved[key]:
                if use.serial == serial:
                    return use.tbs_hash
            found = known.index.serial_use(key, serial)
        return found[0] if found else None

    def last_crl(self, key: bytes, scope: str) -> CrlMark | None:
        """See ``hsm_agent.policy.memory.Memory``."""
        with self._looking as known:
            last = known.index.crl(list_id(key, scope))
            reserved = [use.crl for use in self._reserved[key] if use.scope == scope]
        marks = [mark for mark in (last, *reserved) if mark is not None]
        return max(marks, key=lambda mark: mark.number, default=None)

    def dropped(
        self, key: bytes, scope: str, serials: Iterable[bytes], at: datetime
    ) -> Iterable[int]:
        """See ``hsm_agent.policy.memory.Memory``."""
        for octets in self.changes(key, scope, serials, ()).left:
            serial = int.from_bytes(octets, "big", signed=True)
            if not self._expired(key, serial, at):
                yield serial

    def changes(
        self, key: bytes, scope: str, serials: Iterable[bytes], lasting: Iterable[bytes]
    ) -> Changes:
        """Compare a CRL's serials with those that CRLs of this scope have to name.

        ``lasting`` are those that later ones have to name too: a certificate on hold may be
        released, but one that was revoked does not leave by being put on hold.
        """
        with self._looking as known:
            known.keep()
            known.catch_up()
        crl_list = list_id(key, scope)
        try:
            left = _compare(self._known.index.listed(crl_list), sorted(set(serials))).left
            added = _compare(self._known.index.listed(crl_list), sorted(set(lasting))).added
        except sqlite3.Error as error:
            raise JournalFault(f"the index of the journal: {error}") from error
        return Changes(added, left)

    def signed_since(self, key: bytes, since: datetime, but: bytes) -> Mapping[str, int]:
        """See ``hsm_agent.policy.memory.Memory``; of a begun minute everything counts."""
        first = int(since.timestamp() * 1000)
        with self._looking as known:
            counts = Counter(known.recent.since(key, first, [but]))
            reserved = {use.tbs_hash: use for use in self._reserved[key]}
            for tbs_hash, use in reserved.items():
                if tbs_hash != but and not known.recent.counted(key, tbs_hash, first):
                    counts[use.kind] += 1
        return counts

    def self_signed_before(self, key: bytes) -> bytes | None:
        """See ``hsm_agent.policy.memory.Memory``."""
        with self._looking as known:
            first = known.index.self_signed(key)
            reserved = [use for use in self._reserved[key] if use.kind == SELF_SIGNED]
        return first or (reserved[0].tbs_hash if reserved else None)

    def approved(self, key: bytes, tbs_hash: bytes) -> bool:
        """Tell whether these octets were signed before with the approvals that they needed."""
        with self._looking as known:
            return known.index.approved(key, tbs_hash)

    def profile(self, key: bytes) -> str | None:
        """Return the profile under which a key was made from afar, if it was."""
        with self._looking as known:
            return known.index.profile(key)

    def begun(self, name: str) -> tuple[str, str] | None:
        """Return profile and key type of a key whose making was begun and never ended."""
        with self._looking as known:
            return known.index.begun(name)

    def take_sequence(self, asking: bytes, sequence: int) -> bool:
        """Take a relayed frame's number; return whether it came for the first time.

        ``asking`` is the asking node's frame key.  The caller journals it (event ``relay``).
        """
        with self._looking as known:
            known.catch_up()
            return known.window(asking).take(sequence)

    def _take_in(self, mark: Mark, line: Line) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._known.take_in(mark, line)

    def _expired(self, key: bytes, serial: int, at: datetime) -> bool:
        with self._looking as known:
            found = known.index.serial_use(key, serial) if serial >= 0 else None
        return found is not None and datetime.fromtimestamp(found[1] / 1000, UTC) < at

    def _keep(self) -> None:
        turns = 0
        while not self._closed.wait(KEEPING):
            turns += 1
            with self._lock:
                self._known.keep(forget=turns % KEEPINGS_PER_FORGETTING == 0)
            self._known.checkpoint()


def _compare(before: Iterator[bytes], now: list[bytes]) -> Changes:
    """Walk two sorted lists side by side."""
    changes = Changes([], [])
    place = 0
    for serial in before:
        while place < len(now) and now[place] < serial:
            changes.added.append(now[place])
            place += 1
        if place < len(now) and now[place] == serial:
            place += 1
        else:
            changes.left.append(serial)
    changes.added.extend(now[place:])
    return changes
