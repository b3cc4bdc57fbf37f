"""The journal as the memory has taken it in: the index, the counters, the windows of relays."""

import logging
import sqlite3
from pathlib import Path

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.index import Index, list_id
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import Line, line_hash, number, text
from hsm_agent.journal.relay_windows import RelayWindow
from hsm_agent.journal.uses import Use
from hsm_agent.wire.messages import Mark

UNKEPT_LINES = 1000
"""After so many lines the index is committed."""
CHECKPOINT_LINES = 50_000
"""While many lines are taken in, so often what was committed goes into the index itself."""

_log = logging.getLogger(__name__)


class Remembered:
    """Takes in line after line; not for use by several threads at once."""

    def __init__(self, journal: Journal, path: Path) -> None:
        """Open the index and take in what it lacks.

        Raises:
            JournalFault: the journal is not the one that the index was made from.
        """
        self._journal = journal
        self._unkept = self._ts = 0
        self._behind = False
        try:
            self.index = Index(path)
            self._check(path)
            self.recent = self.index.recent_uses()
            self.windows = self.index.relays()
            self.mark = self.index.mark()
        except sqlite3.Error as error:
            raise JournalFault(f"{path} cannot be used: {error}") from error
        self._take_in_missing()

    def take_in(self, mark: Mark, line: Line) -> None:
        """Take in the next line; should that fail, `catch_up` does it later."""
        if self._behind or mark.index <= self.mark.index:
            return
        try:
            self._take_in(mark, line)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            _log.error("journal index: line %d: %s", mark.index, error)
            self._behind = True

    def catch_up(self) -> None:
        """Take in what could not be taken in before, if anything.

        Raises:
            JournalFault: it still cannot be.
        """
        if not self._behind:
            return
        try:
            self.index.rollback()
            self.mark = self.index.mark()
        except sqlite3.Error as error:
            raise JournalFault(f"the index of the journal: {error}") from error
        self._take_in_missing()
        self._behind = False

    def keep(self, *, forget: bool = False) -> None:
        """Commit what was taken in; should that fail, `catch_up` takes it in again."""
        if not self._unkept or self._behind:
            return
        try:
            if forget:
                self.index.forget_old(self._ts)
            self._keep()
        except sqlite3.Error as error:
            _log.error("journal index: %s", error)
            self._behind = True

    def checkpoint(self) -> None:
        """Bring what was committed into the index itself; nobody waits for it."""
        try:
            self.index.checkpoint()
        except sqlite3.Error as error:
            _log.warning("journal index not checkpointed: %s", error)

    def window(self, asking: bytes) -> RelayWindow:
        """Return the window of an asking key, a new one where there is none."""
        return self.windows.setdefault(asking, RelayWindow())

    def close(self) -> None:
        """Commit, and close the index."""
        self.keep()
        self.checkpoint()
        try:
            self.index.close()
        except sqlite3.Error as error:
            _log.warning("journal index not closed: %s", error)

    def _check(self, path: Path) -> None:
        mark = self.index.mark()
        if mark.index == 0:
            return
        found = self._journal.lines(mark.index, mark.index)
        if not found or line_hash(found[0]) != mark.head:
            end = self._journal.mark().index
            raise JournalFault(
                f"the journal (it ends at line {end}) is not the one that {path} was made from"
                f" (up to line {mark.index}): lines were lost or altered; bring the journal back,"
                f" or remove {path} to forget what the lost lines said"
            )

    def _take_in_missing(self) -> None:
        try:
            for read in self._journal.stream(self.mark.index + 1):
                self._take_in(read.mark, read.line)
                if read.mark.index % CHECKPOINT_LINES == 0:
                    self.checkpoint()
            self._keep()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise JournalFault(
                f"line {self.mark.index + 1} cannot be taken into the index: {error}"
            ) from error

    def _take_in(self, mark: Mark, line: Line) -> None:
        take_in = _EVENTS.get(text(line, "event"))
        if take_in is not None:
            take_in(self, line)
        self.mark, self._ts = mark, number(line, "ts")
        self._unkept += 1
        if self._unkept >= UNKEPT_LINES:
            self._keep()

    def _keep(self) -> None:
        self.index.set_mark(self.mark)
        self.index.commit()
        self._unkept = 0


def _sign(remembered: Remembered, line: Line) -> None:
    use = Use.of(line)
    remembered.index.add(use)
    remembered.recent.add(use.key, use.kind, use.tbs_hash, use.ts)


def _revoked(remembered: Remembered, line: Line) -> None:
    crl_list = list_id(bytes.fromhex(text(line, "key")), text(line, "scope"))
    remembered.index.change_listed(crl_list, _serials(line, "added"), _serials(line, "left"))


def _generate(remembered: Remembered, line: Line) -> None:
    remembered.index.begin(text(line, "name"), text(line, "profile"), text(line, "key-type"))


def _generated(remembered: Remembered, line: Line) -> None:
    key = bytes.fromhex(text(line, "key"))
    remembered.index.end(text(line, "name"), key, text(line, "profile"))


def _not_generated(remembered: Remembered, line: Line) -> None:
    remembered.index.end(text(line, "name"))


def _relay(remembered: Remembered, line: Line) -> None:
    asking = bytes.fromhex(text(line, "asking"))
    window = remembered.window(asking)
    window.take(number(line, "sequence"))
    remembered.index.set_relay(asking, window)


def _serials(line: Line, name: str) -> list[bytes]:
    value = line.get(name)
    return [bytes.fromhex(one) for one in value] if isinstance(value, list) else []


_EVENTS = {
    "sign": _sign,
    "revoked": _revoked,
    "generate": _generate,
    "generated": _generated,
    "not-generated": _not_generated,
    "relay": _relay,
}
