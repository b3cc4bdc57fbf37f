"""One target's queue: what it lacks is pushed in order, what failed is tried again later."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pikaserver.api.errors import PikaserverError, Unavailable
from pikaserver.api.operations import Alarm
from pikaserver.api.publishing import Publisher, Target
from pikaserver.publishing.deliveries import Deliveries
from pikaserver.publishing.ground import Ground
from pikaserver.publishing.items import (
    Agenda,
    Supply,
    Wanted,
    agenda,
    comes_before,
    missing,
    wanted,
)
from pikaserver.publishing.ledger import Ledger
from pikaserver.secrecy import without_secrets
from pikaserver.storage.publications import WHOLE_TARGET, Item

ELSEWHERE = timedelta(seconds=5)
"""After how long a target at which another node works is looked at again."""
AGAIN = timedelta(seconds=1)
"""After how long what became due meanwhile is looked at."""
LONGEST_ERROR = 500

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of trying a target."""

    name: str
    usable: bool
    text: str


class TargetQueue:
    """What one publisher has yet to push; ``run`` is called by one thread at a time."""

    def __init__(self, publisher: Publisher, ground: Ground) -> None:
        self.name = publisher.name
        self.target = target_of(publisher)
        self.delivered = 0
        self.failed = 0
        self.stopping = False
        self.holds_lease = False
        self._stumbled: Item | None = None
        node = ground.node if self.target.every_node else 0
        self.ledger = Ledger(ground, self.name, node, self.target.place)
        self._ground = ground
        self._deliveries = Deliveries(publisher, self.target, ground)

    def waiting(self, supply: Supply) -> list[Wanted]:
        """Return what the target lacks, due or not."""
        return missing(wanted(supply, self.target), self.ledger.read())

    def probe(self) -> Finding:
        """Try the target; nothing is left there."""
        if self.target.probe is None:
            return Finding(self.name, usable=True, text="its publisher cannot try it")
        try:
            return Finding(self.name, usable=True, text=_attempted(self.target.probe))
        except _DeliveryFailed as failure:
            return Finding(self.name, usable=False, text=failure.why)

    def run(self, supply: Supply) -> datetime | None:
        """Push what is due, in order; return when to look again at what is left.

        Raises:
            StorageUnavailable: nothing is pushed that could not be noted.
        """
        ahead = self._agenda(supply)
        if not ahead.due:
            return ahead.retry_at
        if not self.ledger.acquire():
            return self._ground.clock() + ELSEWHERE
        self.holds_lease = True
        try:
            self.ledger.begin()
            # Looked up again: until the lease was ours, another node was at work.
            self._push_all(self._agenda(supply))
        finally:
            self.holds_lease = False
            self.ledger.release()
        left = self._agenda(supply)
        return self._ground.clock() + AGAIN if left.due else left.retry_at

    def _agenda(self, supply: Supply) -> Agenda:
        now, longest = self._ground.clock(), self._ground.patience.longest_wait
        return agenda(wanted(supply, self.target), self.ledger.read(), now, longest)

    def _push_all(self, ahead: Agenda) -> None:
        failed: list[Item] = []
        for item in self._in_turn(ahead):
            if self.stopping:
                return
            if any(comes_before(one, item) for one in failed):
                continue
            try:
                self._push(item)
            except _DeliveryFailed as failure:
                self._note_failure(WHOLE_TARGET if failure.unreachable else item, failure)
                if failure.unreachable:
                    self._stumbled = item
                    return
                failed.append(item)
            self.ledger.note_reached()
        self._stumbled = None

    def _in_turn(self, ahead: Agenda) -> list[Item]:
        """Return what is due; last what the target broke down at, lest it starve the rest."""

        def turn(item: Item) -> tuple[bool, bool]:
            stumbled = self._stumbled
            return stumbled is not None and comes_before(stumbled, item), stumbled == item

        return sorted((one.item for one in ahead.due), key=turn)

    def _push(self, item: Item) -> None:
        """Push an item until the target has its newest version.

        Raises:
            _DeliveryFailed: the publisher said so.
        """
        row = self.ledger.read().get(item)
        while (delivery := self._deliveries.next(item, row)) is not None:
            _attempted(delivery.push)
            self.delivered += 1
            row = self.ledger.note_success(item, row, delivery)
            if row is None:
                _log.warning("published by two nodes", extra=self._fields(item))
                return
            _log.info("published", extra={**self._fields(item), "number": delivery.number})

    def _note_failure(self, item: Item, failure: "_DeliveryFailed") -> None:
        self.failed += 1
        now = self.ledger.note_failure(item, failure.why)
        fields = {**self._fields(item), "error": failure.why, "failures": now.failures}
        _log.warning("not published", extra=fields)
        if now.failures == self._ground.patience.alarm_after:
            what = f"{self.name!r} could not be reached" if failure.unreachable else _what(item)
            text = f"publishing to {self.name!r}: {what} {now.failures} times: {failure.why}"
            self._ground.announce(Alarm("publish.failing", text, {"target": self.name}))

    def _fields(self, item: Item) -> dict[str, object]:
        given = {name: value for name, value in item._asdict().items() if value}
        return {"target": self.name, **given}


class _DeliveryFailed(Exception):
    """A publisher failed; ``unreachable`` when that concerns the whole target."""

    def __init__(self, why: str, *, unreachable: bool) -> None:
        super().__init__(why)
        self.why = why
        self.unreachable = unreachable


def target_of(publisher: Publisher) -> Target:
    """Return what a publisher says of its target, or what holds for one that says nothing."""
    target = getattr(publisher, "target", None)
    return target if isinstance(target, Target) else Target()


def _attempted(deed: Callable[[], Answer]) -> Answer:
    try:
        return deed()
    except PikaserverError as error:
        raise _DeliveryFailed(_told(error), unreachable=isinstance(error, Unavailable)) from error
    except OSError as error:
        away = isinstance(error, ConnectionError | TimeoutError)
        raise _DeliveryFailed(_told(error), unreachable=away) from error
    except Exception as error:  # a plugin's failure concerns nobody else
        _log.exception("publisher failed")
        raise _DeliveryFailed(_told(error), unreachable=False) from error


def _told(error: Exception) -> str:
    text = str(error) if isinstance(error, PikaserverError) else f"{type(error).__name__}: {error}"
    return without_secrets(text)[:LONGEST_ERROR]


def _what(item: Item) -> str:
    words = (item.kind, item.authority, f"g{item.generation}", item.scope)
    return "refused " + " ".join(word for word in words if word)
