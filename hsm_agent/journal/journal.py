"""The journal: lines are chained, written once, and on disk before anything builds on them."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Condition, Event, Thread

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import Field, Line
from hsm_agent.journal.month_files import MonthFiles
from hsm_agent.journal.reading import MOST_OCTETS, Read, lines, stream
from hsm_agent.wire.messages import Mark

Watcher = Callable[[Mark, Line], None]
"""Called with every line that is on disk now, in their order; it must not call the journal."""

NOTE_DELAY = 0.5
"""Seconds after which a noted line is brought to the disk at latest, fsync not counted."""

_log = logging.getLogger(__name__)


class Journal:
    """The one writer of a folder of month files; any thread may call it.

    Group commit: whoever waits while nobody syncs does it for all lines written so far; those
    who come meanwhile wait for the next one.
    """

    def __init__(
        self,
        folder: Path,
        now: Callable[[], int],
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Open a journal, and write of what a crash left.

        Raises:
            JournalFault: another process has it, or it was altered, or cannot be written.
        """
        self._files = MonthFiles(folder, now, sync)
        self._changed = Condition()
        self._durable = self._files.end
        self._written: deque[tuple[Mark, Line]] = deque()
        self._syncing = False
        self._failures = 0
        self._watchers: list[Watcher] = []
        self._noted = Event()
        self._closed = Event()
        self._thread = Thread(target=self._sync_notes, name="journal", daemon=True)
        self._thread.start()
        try:
            self._tell_of_torn()
        except JournalFault:
            self.close()
            raise

    def append(self, event: str, **fields: Field) -> Mark:
        """Write a line and return when it is on disk; threads that wait share one fsync.

        Raises:
            JournalFault: it is not on disk, and the journal is as it was before.
        """
        return self.append_all(event, [fields])[0]

    def append_all(self, event: str, lines: Sequence[Line]) -> list[Mark]:
        """Write lines of one event and return when all are on disk.

        Raises:
            JournalFault: none of them is on disk, and the journal is as it was before.
        """
        with self._changed:
            marks = self._write(event, lines)
            if marks:
                self._until_durable(marks[-1])
        return marks

    def note(self, event: str, **fields: Field) -> None:
        """Write a line that reaches the disk with the next `append`, or within a second.

        Raises:
            JournalFault: it was not written.
        """
        self.note_all(event, [fields])

    def note_all(self, event: str, lines: Sequence[Line]) -> None:
        """Write lines of one event as `note` does.

        Raises:
            JournalFault: none of them was written.
        """
        with self._changed:
            self._write(event, lines)
        if not self._noted.is_set():
            self._noted.set()

    def mark(self) -> Mark:
        """Return the last line that is on disk: only this may be told to others."""
        return self._durable.mark

    def lines(self, first: int, last: int, most_octets: int = MOST_OCTETS) -> list[bytes]:
        """Return lines that are on disk, without newlines: as many as fit, at least one.

        Raises:
            JournalFault: they cannot be read.
        """
        return lines(self._files.folder, first, min(last, self.mark().index), most_octets)

    def stream(self, first: int) -> Iterator[Read]:
        """Yield the lines that are on disk, from number ``first`` on.

        Raises:
            JournalFault: they cannot be read.
        """
        for read in stream(self._files.folder, first):
            if read.mark.index > self.mark().index:
                break
            yield read

    def watch(self, watcher: Watcher) -> Mark:
        """Have a watcher called for every line after the mark that is returned."""
        with self._changed:
            self._watchers.append(watcher)
            return self._durable.mark

    def close(self) -> None:
        """Write what waits, and let the folder go."""
        self._closed.set()
        self._noted.set()
        self._thread.join()
        with self._changed:
            while self._written:
                self._sync_or_wait()
            self._files.close()

    def _tell_of_torn(self) -> None:
        torn = self._files.torn()
        if torn:
            self.append("recovered", **torn)
            self._files.forget_torn()

    def _write(self, event: str, lines: Sequence[Line]) -> list[Mark]:
        while self._files.month_is_over() and not self._closed.is_set():
            if self._written:
                self._sync_or_wait()
            else:
                self._files.next_month()
                self._durable = self._files.end
        if self._closed.is_set():
            raise JournalFault("the journal is closed")
        written = self._files.write(event, lines)
        self._written.extend(written)
        return [mark for mark, _ in written]

    def _until_durable(self, mark: Mark) -> None:
        failures = self._failures
        while self._durable.mark.index < mark.index:
            self._sync_or_wait()
            if self._failures != failures:
                raise JournalFault("the journal could not be brought to the disk")

    def _sync_or_wait(self) -> None:
        """Bring all that is written to the disk, or wait for the thread that does it already."""
        if self._syncing:
            self._changed.wait()
            return
        self._syncing = True
        end = self._files.end
        self._changed.release()
        failed: OSError | None = None
        try:
            self._files.sync()
        except OSError as error:
            failed = error
        finally:
            self._changed.acquire()
            self._syncing = False
            self._changed.notify_all()
        if failed is None:
            self._durable = end
            self._tell_watchers()
        else:
            self._fall_back(failed)

    def _tell_watchers(self) -> None:
        while self._written and self._written[0][0].index <= self._durable.mark.index:
            mark, line = self._written.popleft()
            for watcher in self._watchers:
                watcher(mark, line)

    def _fall_back(self, failed: OSError) -> None:
        """Forget what may be on disk or not; nobody was told that it is."""
        _log.error("journal not synced: %s", failed.strerror)
        self._failures += 1
        self._written.clear()
        self._files.fall_back(self._durable)

    def _sync_notes(self) -> None:
        while not self._closed.is_set():
            self._noted.wait()
            self._closed.wait(NOTE_DELAY)
            self._noted.clear()
            with self._changed:
                if self._written:
                    self._sync_or_wait()
