"""The files that the one writer of a journal appends to; a new one begins each month."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import BEGINNING, LONGEST_LINE, Field, Line, encode, line_hash
from hsm_agent.journal.reading import read_tail
from hsm_agent.private_files import make_private_folder, sync_folder, write_private
from hsm_agent.wire.messages import Mark

_TORN = "torn"
"""Holds what a crash left, until a line of the journal tells of it."""
_LOCK = "lock"
_TOLD_OCTETS = 1024
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class End:
    """How far the newest file reaches, in octets, and the mark of its last line."""

    size: int
    mark: Mark


class MonthFiles:
    """The writer's side of a folder; not for use by several threads at once, but for `sync`."""

    def __init__(
        self, folder: Path, now: Callable[[], int], sync: Callable[[int], None] = os.fdatasync
    ) -> None:
        """Take the folder for this process alone.

        Raises:
            JournalFault: another process has it, or it was altered, or cannot be written.
        """
        self.folder = folder
        self._now = now
        self._sync = sync
        self._file, self._until = -1, 0
        self._end = End(0, BEGINNING)
        self._doubtful = False
        try:
            make_private_folder(folder)
            self._lock = _locked(folder / _LOCK)
        except OSError as error:
            raise _fault(folder, error) from error
        try:
            self._open_end()
        except (OSError, JournalFault) as error:
            self.close()
            raise _fault(folder, error) from error

    @property
    def end(self) -> End:
        """What is written, on disk or not."""
        return self._end

    def torn(self) -> dict[str, Field]:
        """Tell what a crash left in the place of a line; nothing where it left nothing.

        Raises:
            JournalFault: it cannot be read.
        """
        try:
            octets = (self.folder / _TORN).read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise _fault(self.folder, error) from error
        begins = octets[:_TOLD_OCTETS].decode(errors="backslashreplace")
        sha256 = hashlib.sha256(octets).hexdigest()
        return {"octets": len(octets), "sha256": sha256, "begins": begins}

    def forget_torn(self) -> None:
        """Call when a line on disk tells of it."""
        (self.folder / _TORN).unlink(missing_ok=True)

    def write(self, event: str, lines: Sequence[Line]) -> list[tuple[Mark, Line]]:
        """Chain and write lines, not yet synced; return them with their marks and all fields.

        Raises:
            JournalFault: none was written, and what stood there before still does.
        """
        if self._doubtful:
            self._mend()
        before, now = self._end, self._now()
        mark, octets = before.mark, bytearray()
        written: list[tuple[Mark, Line]] = []
        for fields in lines:
            index, prev = mark.index + 1, mark.head.hex()
            line: Line = {**fields, "event": event, "i": index, "prev": prev, "ts": now}
            mark = Mark(index, _appended(octets, line))
            written.append((mark, line))
        try:
            _write_whole(self._file, bytes(octets))
        except OSError as error:
            self._cut(before)
            raise _fault(self.folder, error) from error
        self._end = End(before.size + len(octets), mark)
        return written

    def sync(self) -> None:
        """Have on disk what is written; other lines may be written meanwhile.

        Raises:
            OSError: it may be on disk, or not: call `fall_back`.
        """
        self._sync(self._file)

    def fall_back(self, end: End) -> None:
        """Forget all that was written behind an earlier end."""
        self._end = end
        self._cut(end)

    def month_is_over(self) -> bool:
        """Tell whether the next line belongs into another file."""
        return self._now() >= self._until

    def next_month(self) -> None:
        """Begin this month's file; everything in the old one has to be on disk.

        Raises:
            JournalFault: there is no new file; nothing is changed.
        """
        start = self._now()
        try:
            file = os.open(self.folder / f"{_month(start):%Y-%m}.jsonl", _APPEND, 0o600)
            sync_folder(self.folder)
        except OSError as error:
            raise _fault(self.folder, error) from error
        if self._file >= 0:
            os.close(self._file)
        self._file, self._until = file, _month_end(_month(start))
        self._end = End(os.fstat(file).st_size, self._end.mark)

    def close(self) -> None:
        """Let the folder go."""
        for file in (self._file, self._lock):
            if file >= 0:
                os.close(file)
        self._file = self._lock = -1

    def _open_end(self) -> None:
        tail = read_tail(self.folder)
        self._end = End(tail.size, tail.mark)
        if tail.path is None:
            return
        self._file = os.open(tail.path, _APPEND)
        self._until = _month_end(datetime.strptime(tail.path.stem, "%Y-%m").replace(tzinfo=UTC))
        if tail.torn:
            write_private(self.folder / _TORN, tail.torn)
            os.ftruncate(self._file, tail.size)
        os.fsync(self._file)

    def _cut(self, end: End) -> None:
        try:
            os.ftruncate(self._file, end.size)
            self._doubtful = False
        except OSError:
            self._doubtful = True

    def _mend(self) -> None:
        """Find out whether what should be there is there, after a cut that did not succeed."""
        self._cut(self._end)
        if self._doubtful:
            raise JournalFault(f"{self.folder} cannot be written")


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise JournalFault(f"another process writes the journal in {path.parent}") from error
    return file


def _appended(octets: bytearray, line: Line) -> bytes:
    """Append a line to those that are about to be written; return its hash."""
    encoded = encode(line)
    if len(encoded) > LONGEST_LINE:
        raise JournalFault(f"a line of {len(encoded)} octets, of at most {LONGEST_LINE}")
    octets += encoded
    octets += b"\n"
    return line_hash(encoded)


def _write_whole(file: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(file, octets) :]


def _month(ts: int) -> datetime:
    when = datetime.fromtimestamp(ts / 1000, UTC)
    return when.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_end(month: datetime) -> int:
    """Return the millisecond in which the next month begins."""
    after = (month + timedelta(days=31)).replace(day=1)
    return int(after.timestamp()) * 1000


def _fault(folder: Path, error: Exception) -> JournalFault:
    if isinstance(error, OSError):
        return JournalFault(f"{folder} cannot be written: {error.strerror}")
    return JournalFault(str(error))
