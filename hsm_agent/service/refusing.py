"""Saying no: why, and how it is journaled so that no flood of it fills the disk."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import Field
from hsm_agent.service.showing import printable
from hsm_agent.wire.refusals import REFUSALS

SUMMARY_EVERY = 60_000
"""Milliseconds between two lines that count what got no line of its own."""
MOST_COUNTED = 200
"""So many pairs of code and key are counted apart."""
LONGEST_WHY = 2000
_LOAD = frozenset({"busy", "expired", "draining", "approval-needed"})
"""Nothing is wrong with these; a few of them show what goes on."""

_log = logging.getLogger(__name__)


class Refusal(Exception):
    """The request is refused: ``code`` is one of ``hsm_agent.wire.refusals``.

    ``after`` is milliseconds, ``approval`` the SHA-256 of octets that wait, ``facts`` what is
    known of the structure; all of them for the answer and the journal.
    """

    def __init__(
        self,
        code: str,
        why: str,
        *,
        after: int = 0,
        approval: bytes = b"",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(why)
        self.code = code if code in REFUSALS else "token-error"
        self.why = printable(why, LONGEST_WHY)
        self.after = after
        self.approval = approval
        self.facts = facts or {}


@dataclass(slots=True)
class _Allowance:
    """So many lines at once, and one more each ``each`` milliseconds."""

    most: int
    each: int
    left: float = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        self.left = self.most

    def take(self, now: int) -> bool:
        self.left = min(self.most, self.left + max(0, now - self.at) / self.each)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class RefusalLines:
    """Journals refusals one by one as long as there are few, and counts them when many come."""

    def __init__(self, journal: Journal, now: Callable[[], int]) -> None:
        self._journal = journal
        self._now = now
        self._lock = Lock()
        self._allowances = {False: _Allowance(1000, 1000), True: _Allowance(60, 10_000)}
        self._counts: Counter[str] = Counter()
        self._summary = now()

    def write(self, refusal: Refusal, fields: Mapping[str, Field]) -> None:
        """Journal a refusal; where even that fails, the log has it."""
        with self._lock:
            told = self._allowances[refusal.code in _LOAD].take(self._now())
            if not told:
                self._count(refusal.code, str(fields.get("key", "")))
        _log.info("refused %s: %s", refusal.code, refusal.why)
        if told:
            self._note("refused", {**fields, "code": refusal.code, "why": refusal.why})

    def summarise(self, *, finally_: bool = False) -> None:
        """Write a line about those that got none, if it is time; call it now and then."""
        if not self._counts:
            return
        with self._lock:
            now, since = self._now(), self._summary
            if not finally_ and now - since < SUMMARY_EVERY:
                return
            counts, self._counts, self._summary = self._counts, Counter(), now
        told = [f"{count} {what}" for what, count in counts.most_common()]
        self._note("refused-more", {"count": counts.total(), "since": since, "of": told})

    def _count(self, code: str, key: str) -> None:
        what = f"{code} {key}"
        full = len(self._counts) >= MOST_COUNTED and what not in self._counts
        self._counts["other" if full else what] += 1

    def _note(self, event: str, fields: Mapping[str, Field]) -> None:
        try:
            self._journal.note(event, **fields)
        except JournalFault as fault:
            _log.error("refusal not journaled: %s", fault)
