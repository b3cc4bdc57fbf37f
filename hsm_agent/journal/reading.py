"""Reading a journal while it grows: by number, from a place on, and its end."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.line import (
    BEGINNING,
    LONGEST_LINE,
    BrokenLine,
    Line,
    decode,
    follow,
    number,
    skim,
    start,
)
from hsm_agent.wire.messages import Mark

MOST_OCTETS = 8 << 20
"""How much `lines` returns at once unless it is told otherwise."""
TAIL_OCTETS = 1 << 20
"""How far back the end of a journal is checked when it is opened."""

_FILE_NAME = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])\.jsonl")
_NEAR = 65_536
"""Octets that are rather read than searched."""
_Step = Callable[[Mark, bytes], tuple[Mark, Line]]


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a journal: ``path`` is the newest file, of which ``size`` octets are good.

    ``torn`` are the octets after them, which a crash left.
    """

    path: Path | None
    size: int
    mark: Mark
    torn: bytes


def month_files(folder: Path) -> list[Path]:
    """Return the files of a journal, the oldest first.

    Raises:
        JournalFault: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name))
    except OSError as error:
        raise JournalFault(f"{folder} cannot be read: {error.strerror}") from error


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their newlines, never more at once than a line may have.

    Where a crash, or a writer who is not done, left the last one without, so it is yielded.
    """
    while octets := file.readline(LONGEST_LINE + 1):
        yield octets


@dataclass(frozen=True, slots=True)
class Read:
    """A line that was read: its mark, its octets, its fields."""

    mark: Mark
    octets: bytes
    line: Line


def stream(folder: Path, first: int = 1) -> Iterator[Read]:
    """Yield lines from number ``first`` on; each continues the one before.

    Raises:
        JournalFault: a line is damaged.
    """
    return _walk(folder, first, follow)


def _walk(folder: Path, first: int, step: _Step) -> Iterator[Read]:
    before: Mark | None = None
    for path in _from(folder, first):
        try:
            with path.open("rb") as file:
                _seek(file, first)
                for octets in _finished(file):
                    before, line = start(octets) if before is None else step(before, octets)
                    if before.index >= first:
                        yield Read(before, octets, line)
        except BrokenLine as broken:
            place = before.index + 1 if before else first
            raise JournalFault(f"{path.name}, line {place}: {broken}") from broken
        except OSError as error:
            raise JournalFault(f"{path} cannot be read: {error.strerror}") from error


def lines(folder: Path, first: int, last: int, most_octets: int = MOST_OCTETS) -> list[bytes]:
    """Return lines by number, both ends included: as many as fit, at least one.

    That they are chained is checked; what else they say is for whoever wants them.

    Raises:
        JournalFault: the journal is damaged there.
    """
    found: list[bytes] = []
    octets = 0
    if last < first or first < 1:
        return found
    for read in _walk(folder, first, skim):
        octets += len(read.octets)
        if read.mark.index > last or (found and octets > most_octets):
            break
        found.append(read.octets)
    return found


def export(folder: Path, first: int, last: int, write: Callable[[bytes], object]) -> Mark:
    """Write lines by number, one after the other with newlines; return the last one's mark.

    Raises:
        JournalFault: the journal is damaged there.
    """
    end = BEGINNING
    for read in stream(folder, first):
        if read.mark.index > last:
            break
        write(read.octets + b"\n")
        end = read.mark
    return end


def read_tail(folder: Path) -> Tail:
    """Find the end of a journal, and what a crash left behind it.

    Raises:
        JournalFault: it was not left by a crash: something there was altered or lost.
    """
    newest: Path | None = None
    torn, size = b"", 0
    for path in reversed(month_files(folder)):
        mark, good, rest = _end_of(path)
        if rest and newest is not None:
            raise JournalFault(f"{path.name} ends within a line, but is not the newest file")
        if newest is None:
            newest, size, torn = path, good, rest
        if mark is not None:
            return Tail(newest, size, mark, torn)
    return Tail(newest, size, BEGINNING, torn)


def _end_of(path: Path) -> tuple[Mark | None, int, bytes]:
    """Return the last line's mark, the size up to its newline, and what stands behind."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            begin = max(0, size - TAIL_OCTETS)
            file.seek(begin)
            octets = file.read()
    except OSError as error:
        raise JournalFault(f"{path} cannot be read: {error.strerror}") from error
    if begin:
        skipped = octets.find(b"\n") + 1
        begin, octets = begin + skipped, octets[skipped:]
    mark, good = _last_good(octets)
    rest = octets[good:]
    # A crash leaves the beginning of a line, or nothing readable.  Lines that read well behind
    # one that does not are no crash's work, and are not to be cut off.
    if (begin and mark is None) or any(_reads(piece) for piece in rest.split(b"\n")[:-1]):
        raise JournalFault(f"the end of {path.name} was altered: see hsm-agent journal verify")
    return mark, begin + good, rest


def _last_good(octets: bytes) -> tuple[Mark | None, int]:
    mark: Mark | None = None
    good = 0
    for piece in octets.split(b"\n")[:-1]:
        try:
            mark = (start(piece) if mark is None else follow(mark, piece))[0]
        except BrokenLine:
            break
        good += len(piece) + 1
    return mark, good


def _reads(octets: bytes) -> bool:
    try:
        decode(octets)
    except BrokenLine:
        return False
    return True


def _finished(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines without their newlines; the last one's writer may not be done yet."""
    for octets in read_lines(file):
        if octets.endswith(b"\n"):
            yield octets[:-1]
        elif len(octets) > LONGEST_LINE:
            raise BrokenLine("no newline where one has to be")


def _from(folder: Path, first: int) -> list[Path]:
    """Return the files that hold line ``first`` and all after it."""
    needed: list[Path] = []
    for path in reversed(month_files(folder)):
        needed.insert(0, path)
        begins = _first_index(path)
        if begins is not None and begins <= first:
            break
    return needed


def _first_index(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            octets = next(_finished(file), None)
        return None if octets is None else number(decode(octets), "i")
    except BrokenLine as broken:
        raise JournalFault(f"{path.name}, first line: {broken}") from broken
    except OSError as error:
        raise JournalFault(f"{path} cannot be read: {error.strerror}") from error


def _seek(file: BinaryIO, index: int) -> None:
    """Go to the beginning of some line not after ``index`` and not far before it."""
    low, high = 0, file.seek(0, 2)
    while high - low > _NEAR:
        middle = (low + high) // 2
        file.seek(middle)
        begin = middle + len(file.readline())
        octets = next(_finished(file), None)
        if begin >= high or octets is None:
            high = middle
        elif number(decode(octets), "i") <= index:
            low = begin
        else:
            high = middle
    file.seek(low)
