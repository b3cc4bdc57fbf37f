"""The journal: on disk before anything builds on it, whole after every fault."""

import errno
import os
import threading

import pytest

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import BEGINNING, LONGEST_LINE, decode
from hsm_agent.journal.verify import verify
from pikaserver.testing.patience import SECONDS
from tests.hsm_agent.journals import (
    NEXT_MONTH,
    Clock,
    events,
    month_file,
    octet_lines,
    open_journal,
    room_for,
)


class Disk:
    """Syncs as it is told: counts, fails, waits."""

    def __init__(self):
        self.synced = 0
        self.failing = False
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()

    def __call__(self, file):
        self.reached.set()
        assert self.gate.wait(SECONDS)
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(file)
        self.synced += 1


def test_lines_are_chained_and_for_the_owner_alone(tmp_path):
    """Each line carries the SHA-256 of the one before; the first one zeros."""
    with open_journal(tmp_path / "journal") as journal:
        first = journal.append("start", version="1")
        second = journal.append("sign", key="ab", of=[])

        assert [(1, first), (2, second)] == [(one.index, one) for one in (first, second)]
        assert second == journal.mark()
    lines = [decode(line.rstrip(b"\n")) for line in octet_lines(tmp_path / "journal")]
    assert ["00" * 32, first.head.hex()] == [line["prev"] for line in lines]
    assert 0o600 == month_file(tmp_path / "journal").stat().st_mode & 0o777
    assert 0o700 == (tmp_path / "journal").stat().st_mode & 0o777
    assert verify(tmp_path / "journal").sound


def test_an_append_returns_after_its_sync_and_not_before(tmp_path):
    """The mark that others are told is never ahead of the disk."""
    disk = Disk()
    with open_journal(tmp_path, sync=disk) as journal:
        disk.gate.clear()
        thread = threading.Thread(target=journal.append, args=("sign",))
        thread.start()
        assert disk.reached.wait(SECONDS)
        before = (journal.mark(), journal.lines(1, 9), thread.is_alive())
        disk.gate.set()
        thread.join()

        assert (BEGINNING, [], True) == before
        assert 1 == journal.mark().index == len(journal.lines(1, 9))


def test_threads_that_wait_share_one_sync(tmp_path):
    """Group commit: whoever comes while the disk is busy waits for the next sync, together."""
    disk = Disk()
    with open_journal(tmp_path, sync=disk) as journal:
        disk.gate.clear()
        threads = [threading.Thread(target=journal.append, args=("sign",)) for _ in range(16)]
        threads[0].start()
        assert disk.reached.wait(SECONDS)
        for thread in threads[1:]:
            thread.start()
        while len(octet_lines(tmp_path)) < 16:
            pass
        disk.gate.set()
        for thread in threads:
            thread.join()

        assert 2 == disk.synced
        assert 16 == journal.mark().index


def test_a_note_reaches_the_disk_by_itself(tmp_path):
    """An outcome line is written at once and is on disk within a second."""
    disk, told = Disk(), threading.Event()
    disk.gate.clear()
    with open_journal(tmp_path, sync=disk) as journal:
        journal.watch(lambda _mark, _line: told.set())
        journal.note("signed", of=1)
        written, on_disk = events(tmp_path), journal.mark().index
        disk.gate.set()

        assert (["signed"], 0) == (written, on_disk)
        assert told.wait(SECONDS)
        assert 1 == journal.mark().index


def test_watchers_are_told_in_order_and_of_nothing_that_is_not_on_disk(tmp_path):
    """What the memory takes in is what a restart would find."""
    disk, told = Disk(), []
    with open_journal(tmp_path, sync=disk) as journal:
        journal.watch(lambda mark, line: told.append((mark.index, line["event"])))
        journal.note("one")
        journal.append("two")
        disk.failing = True
        with pytest.raises(JournalFault):
            journal.append("lost")
        disk.failing = False
        journal.append("three")

    assert [(1, "one"), (2, "two"), (3, "three")] == told


def test_a_month_begins_a_file(tmp_path):
    """The first line of a new file continues the last one of the old; no clock goes back."""
    clock = Clock()
    with open_journal(tmp_path, clock) as journal:
        journal.append("january")
        journal.note("late in january")
        clock.now = NEXT_MONTH
        journal.append("february")
        clock.now -= 30 * 86_400_000
        journal.append("clock went back")

        assert 4 == len(journal.lines(1, 9))
    assert ["january", "late in january"] == events(tmp_path)
    assert ["february", "clock went back"] == events(tmp_path, "2026-02")
    report = verify(tmp_path)
    assert (report.sound, report.files, report.lines) == (True, 2, 4)


def test_a_journal_goes_on_where_it_ended(tmp_path):
    """After a restart the chain continues, also into a file that is still empty."""
    clock = Clock()
    with open_journal(tmp_path, clock) as journal:
        journal.append("one")
    month_file(tmp_path, "2026-02").touch()
    clock.now = NEXT_MONTH
    with open_journal(tmp_path, clock) as journal:
        assert 1 == journal.mark().index
        journal.append("two")

    assert verify(tmp_path).sound
    assert ["two"] == events(tmp_path, "2026-02")


def test_one_process_writes_and_no_other(tmp_path):
    """A second writer would tear the chain."""
    with open_journal(tmp_path), pytest.raises(JournalFault, match="another process"):
        Journal(tmp_path, Clock())
    with open_journal(tmp_path) as journal:
        journal.append("start")


def test_a_full_disk_refuses_and_forgets_nothing(tmp_path):
    """No line, no deed; with room again the journal goes on as if nothing had been."""
    with open_journal(tmp_path) as journal:
        journal.append("one")
        size = month_file(tmp_path).stat().st_size
        with room_for(size + 50):
            for write in (journal.append, journal.note):
                with pytest.raises(JournalFault, match="cannot be written"):
                    write("sign", key="ab" * 32)
            in_between = month_file(tmp_path).stat().st_size
        journal.append("two")

    assert size == in_between
    assert ["one", "two"] == events(tmp_path)
    assert verify(tmp_path).sound


def test_a_disk_that_does_not_sync_refuses_everybody_who_waits(tmp_path):
    """After a failed sync nothing of that group is believed, and the files do not hold it."""
    disk = Disk()
    with open_journal(tmp_path, sync=disk) as journal:
        journal.append("one")
        disk.gate.clear()
        disk.reached.clear()
        disk.failing = True
        faults = []

        def append():
            try:
                journal.append("lost")
            except JournalFault as fault:
                faults.append(fault)

        threads = [threading.Thread(target=append) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(octet_lines(tmp_path)) < 9:
            pass
        disk.gate.set()
        for thread in threads:
            thread.join()
        disk.failing = False
        journal.append("two")

    assert 8 == len(faults)
    assert ["one", "two"] == events(tmp_path)
    assert verify(tmp_path).sound


def test_a_line_that_is_too_long_is_refused(tmp_path):
    """Nobody can be made to read a line without end."""
    with open_journal(tmp_path) as journal:
        with pytest.raises(JournalFault, match="at most"):
            journal.append("sign", names="x" * LONGEST_LINE)
        journal.append("two")

    assert ["two"] == events(tmp_path)


def test_nothing_is_written_after_the_end(tmp_path):
    """A thread that comes too late is refused, and its line is nowhere."""
    with open_journal(tmp_path) as journal:
        journal.note("one")
    for write in (journal.append, journal.note):
        with pytest.raises(JournalFault, match="closed"):
            write("late")

    assert ["one"] == events(tmp_path)


def test_a_folder_that_cannot_be_written_stops_the_start(tmp_path):
    """The sentence says which folder."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalFault, match="file"):
        Journal(tmp_path / "file", Clock())
