"""Journals for tests: a clock that stands, lines to write, files to damage."""

import resource
from contextlib import contextmanager

from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import decode

NOW = 1_767_355_200_000  # 2026-01-02 12:00:00 UTC
NEXT_MONTH = 1_770_033_600_000  # 2026-02-02 12:00:00 UTC


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def go(self, **parts):
        """Go on by so many days, hours, minutes, seconds."""
        lengths = {"days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1000}
        self.now += sum(int(count * lengths[name]) for name, count in parts.items())


@contextmanager
def open_journal(folder, clock=None, **options):
    """Open a journal and close it again."""
    journal = Journal(folder, clock or Clock(), **options)
    try:
        yield journal
    finally:
        journal.close()


def month_file(folder, month="2026-01"):
    return folder / f"{month}.jsonl"


def octet_lines(folder, month="2026-01"):
    """Return the lines of a month's file with their newlines."""
    return month_file(folder, month).read_bytes().splitlines(keepends=True)


def events(folder, month="2026-01"):
    return [decode(line.rstrip(b"\n"))["event"] for line in octet_lines(folder, month)]


@contextmanager
def room_for(octets):
    """Let files of this process grow so far and no further, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
