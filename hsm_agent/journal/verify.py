"""Reading a whole journal again: is every line there, as it was written, in its place."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import (
    BEGINNING,
    LONGEST_LINE,
    BrokenLine,
    Field,
    decode,
    line_hash,
    number,
    text,
)
from hsm_agent.journal.reading import month_files, read_lines
from hsm_agent.wire.messages import Mark

MOST_FAULTS = 100
"""How many faults are told one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where: ``place`` counts the lines of that file from 1."""

    file: str
    place: int
    what: str


@dataclass(slots=True)
class Report:
    """What `verify` found; ``unfinished`` are octets of a last line that is not done.

    Times are milliseconds since 1970, 0 where there is no line.
    """

    files: int = 0
    lines: int = 0
    first: int = 0
    last: int = 0
    mark: Mark = BEGINNING
    events: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    untold: int = 0
    unfinished: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def add(self, fault: Fault) -> None:
        """Keep a fault, or only count it where there are too many."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.untold += 1

    def text(self) -> str:
        """Return the report for a person, some lines of text."""
        told = [f"{self.lines} lines in {self.files} files, {_day(self.first)} - {_day(self.last)}"]
        told += [f"  {count:8} {event}" for event, count in sorted(self.events.items())]
        told.append(f"last line {self.mark.index}, SHA-256 {self.mark.head.hex()}")
        if self.unfinished:
            told.append(f"the last line is unfinished ({self.unfinished} octets): a crash, or now")
        told += [f"WRONG {one.file}, line {one.place}: {one.what}" for one in self.faults]
        if self.untold:
            told.append(f"WRONG {self.untold} times more")
        told.append("the journal is sound" if self.sound else "the journal was ALTERED or damaged")
        return "\n".join(told) + "\n"


def verify(folder: Path, known: tuple[Mark, ...] = ()) -> Report:
    """Read a journal from its first line to its last, one line in memory at a time.

    ``known`` are marks that others keep: only they show that lines are missing at the end, or
    that the whole was written anew.

    Raises:
        JournalFault: a file cannot be read at all.
    """
    check = _Check(Report(), known)
    files = month_files(folder)
    for path in files:
        check.file(path, newest=path == files[-1])
    check.end()
    return check.report


class _Check:
    def __init__(self, report: Report, known: tuple[Mark, ...]) -> None:
        self.report = report
        self._known: dict[int, set[bytes]] = {}
        for mark in known:
            self._known.setdefault(mark.index, set()).add(mark.head)
        self._known.pop(0, None)
        self._file = ""
        self._place = 0

    def file(self, path: Path, *, newest: bool) -> None:
        self.report.files += 1
        self._file, self._place = path.name, 0
        try:
            with path.open("rb") as file:
                for octets in _whole_lines(read_lines(file)):
                    self._place += 1
                    self._piece(octets, newest=newest)
        except OSError as error:
            raise JournalFault(f"{path} cannot be read: {error.strerror}") from error

    def end(self) -> None:
        mark = self.report.mark
        for index in sorted(self._known):
            self._fault(f"line {index} is known elsewhere; here the journal ends at {mark.index}")

    def _piece(self, octets: bytes, *, newest: bool) -> None:
        if octets.endswith(b"\n"):
            self._line(octets[:-1])
        elif newest and len(octets) <= LONGEST_LINE:
            self.report.unfinished = len(octets)
        else:
            self._fault("no end of line where one has to be")

    def _line(self, octets: bytes) -> None:
        before = self.report.mark
        try:
            line = decode(octets)
        except BrokenLine as broken:
            self._fault(f"no line of a journal: {broken}")
            # What comes next is compared with this line as it stands: one damage, one fault.
            self.report.mark = Mark(before.index + 1, line_hash(octets))
            return
        self._count(line)
        index = number(line, "i")
        if index != before.index + 1:
            self._fault(_out_of_order(before.index + 1, index))
        elif text(line, "prev") != before.head.hex():
            self._fault(f"line {index} does not continue line {before.index}: that was altered")
        self.report.mark = Mark(index, line_hash(octets))
        known = self._known.pop(index, set())
        if known - {self.report.mark.head}:
            self._fault(f"line {index} is another one than was told before")

    def _count(self, line: dict[str, Field]) -> None:
        report, ts = self.report, number(line, "ts")
        report.lines += 1
        report.events[text(line, "event")] += 1
        report.first = report.first or ts
        report.last = ts

    def _fault(self, what: str) -> None:
        self.report.add(Fault(self._file, self._place, what))


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines; of one that is too long only the beginning."""
    long = False
    for piece in pieces:
        if not long:
            yield piece
        long = len(piece) > LONGEST_LINE and not piece.endswith(b"\n")


def _out_of_order(expected: int, found: int) -> str:
    if found > expected:
        return f"line {found} where {expected} was to come: {found - expected} are missing"
    return f"line {found} where {expected} was to come: it is out of its place"


def _day(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if ts else "never"
