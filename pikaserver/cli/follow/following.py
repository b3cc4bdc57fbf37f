"""The loop: asks, lets CRLs take their places, tells the reader, and backs off."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pikaserver.api.errors import NotFound, PikaserverError, Unavailable
from pikaserver.api.files import send_signal, touch
from pikaserver.api.operations import Clock, Entropy
from pikaserver.cli.follow.fetching import Access, Validators, fetch
from pikaserver.cli.follow.places import Place

FIRST_RETRY = timedelta(seconds=2)
SETTLE_SECONDS = 0.2
"""CRLs that come together are told of together."""
_JITTER = 512

_log = logging.getLogger(__name__)


class Waiting(Protocol):
    """Something that brings CRLs by itself."""

    def start(self) -> None:
        """Begin, and return at once."""
        ...

    def stop(self) -> None:
        """End."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """The program that reads the files, and how it is told that they changed."""

    number: signal.Signals | None = None
    pid_file: Path | None = None
    touched: Path | None = None

    def tell(self) -> bool:
        """Tell it; ``False`` when it could not be told and wants to be told later."""
        try:
            if self.touched is not None:
                touch(self.touched)
            if self.number is not None and self.pid_file is not None:
                pid = send_signal(self.pid_file, self.number)
                _log.info("told", extra={"signal": self.number.name, "pid": pid})
        except NotFound as error:
            # It may start in this moment, with the old file in its hands.
            _log.info("not told yet", extra={"error": str(error)})
            return False
        except OSError as error:
            _log.warning("not told", extra={"error": str(error)})
            return False
        return True


@dataclass(slots=True)
class Follower:
    """Follows all URLs; ``every`` is the time between two looks at one of them."""

    places: Sequence[Place]
    reader: Reader
    access: Access
    every: timedelta
    clock: Clock
    entropy: Entropy
    subscribe: Callable[[str, Access, Callable[[bytes], None]], Waiting] | None = None
    refused: bool = False
    unreachable: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrived: set[str] = field(default_factory=set)

    def stop(self) -> None:
        """Let `run` return soon."""
        self._stop.set()
        self._changed.set()

    def run(self) -> None:
        """Follow until somebody calls `stop`."""
        waiting = self._subscriptions()
        for one in waiting:
            one.start()
        for place, url in self._polled():
            name = f"follow-{url}"
            threading.Thread(target=self._poll, args=(place, url), name=name, daemon=True).start()
        self._tell_until_stopped()
        for one in waiting:
            one.stop()

    def once(self) -> None:
        """Look at each URL once, and wait a while for what comes by itself."""
        waiting = self._subscriptions()
        for one in waiting:
            one.start()
        for place, url in self._polled():
            self._look(place, url, Validators())
        until = time.monotonic() + self.access.timeout_seconds
        wanted = {url for place in self.places for url in place.urls if not is_polled(url)}
        while wanted - self._arrived and time.monotonic() < until:
            self._changed.wait(0.05)
        for one in waiting:
            one.stop()
        self.unreachable |= bool(wanted - self._arrived)
        if self._changed.is_set():
            self.reader.tell()

    def _subscriptions(self) -> list[Waiting]:
        found: list[Waiting] = []
        for place in self.places:
            for url in place.urls:
                if not is_polled(url) and self.subscribe is not None:
                    take = _taker(self, place, url)
                    found.append(self.subscribe(url, self.access, take))
        return found

    def _polled(self) -> list[tuple[Place, str]]:
        return [(place, url) for place in self.places for url in place.urls if is_polled(url)]

    def _tell_until_stopped(self) -> None:
        told = True
        while not self._stop.is_set():
            if self._changed.wait(None if told else self.every.total_seconds()):
                self._stop.wait(SETTLE_SECONDS)
            self._changed.clear()
            if not self._stop.is_set():
                told = self.reader.tell()

    def _poll(self, place: Place, url: str) -> None:
        validators, failures = Validators(), 0
        while not self._stop.is_set():
            had = validators if place.is_intact() else Validators()
            found, wait = self._look(place, url, had)
            failures = failures + 1 if found is None else 0
            validators = found or validators
            self._warn(place)
            self._stop.wait(self._seconds(failures, wait))

    def _look(self, place: Place, url: str, had: Validators) -> tuple[Validators | None, int]:
        """Ask once; return the new validators, or nothing and after how long to ask again."""
        try:
            found = fetch(url, self.access, had)
        except Unavailable as error:
            _log.warning("not fetched", extra={"url": url, "error": str(error)})
            self.unreachable = True
            return None, error.retry_after
        except PikaserverError as error:
            _log.error("not fetched", extra={"url": url, "error": str(error)})
            self.refused = True
            return None, 0
        if found.octets is not None and not self.take(place, url, found.octets):
            return None, 0
        return found.validators, 0

    def take(self, place: Place, url: str, octets: bytes) -> bool:
        """Let what came take its place; ``False`` when it may not."""
        with self._lock:
            self._arrived.add(url)
            try:
                changed = place.take(url, octets, self.clock())
            except (PikaserverError, OSError) as error:
                _log.error("refused", extra={"url": url, "error": str(error)})
                self.refused = True
                return False
        if changed:
            self._changed.set()
        return True

    def _warn(self, place: Place) -> None:
        """Tell once of each CRL that ended: its reader refuses everybody by now."""
        ends = place.holds_until
        if ends is not None and ends < self.clock() and place.warned_of != ends:
            place.warned_of = ends
            _log.error("CRL has ended", extra={"file": str(place.path), "at": str(ends)})

    def _seconds(self, failures: int, asked: int) -> float:
        """Return how long to wait: less than usual after a failure, and then more and more."""
        usual = self.every
        if failures:
            usual = min(usual, FIRST_RETRY * (1 << min(failures - 1, 30)))
        # Brokers that were started together should not ask together for ever.
        share = 0.75 + self.entropy(1)[0] / _JITTER
        return max(usual.total_seconds() * share, float(min(asked, 3600)))


def _taker(follower: Follower, place: Place, url: str) -> Callable[[bytes], None]:
    def take(octets: bytes) -> None:
        follower.take(place, url, octets)

    return take


def is_polled(url: str) -> bool:
    """Tell whether a URL has to be asked; others bring what is new by themselves."""
    return url.startswith(("http://", "https://"))
