"""The job that keeps stored answers fresh: it renews those in use and drops the others."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pikaserver.api.errors import PikaserverError
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver_ocsp import storage
from pikaserver_ocsp.issuers import Issuers
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer
from pikaserver_ocsp.presigned import Presigned
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.storage import StoredAnswer
from pikaserver_ocsp.store import AnswerStore

BATCH = 200
RETRY = timedelta(minutes=1)
"""When a responder cannot sign, its answers are tried again after this time."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Fates:
    """What becomes of a batch of stored answers."""

    renewed: list[KeptAnswer] = field(default_factory=list)
    removed: list[AnswerKey] = field(default_factory=list)
    postponed: list[tuple[AnswerKey, datetime]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Goes through the stored answers whose time has come."""

    settings: OcspSettings
    database: Database
    issuers: Issuers
    presigned: Presigned
    store: AnswerStore
    clock: Clock

    def run(self) -> Iterator[int]:
        """Work through all that is due, batch by batch; yield how many answers each had."""
        while batch := self._due():
            fates = self._fates(batch)
            self.store.renewed(fates.renewed)
            with self.database.transaction() as connection:
                storage.remove(connection, fates.removed)
                storage.postpone(connection, fates.postponed)
            yield len(batch)

    def _due(self) -> Sequence[StoredAnswer]:
        with self.database.reading() as connection:
            return storage.due(connection, self.clock(), BATCH)

    def _fates(self, batch: Sequence[StoredAnswer]) -> _Fates:
        """Decide on each, and sign; who cannot sign one answer is not asked for the others."""
        fates, mute = _Fates(), set[tuple[int, str]]()
        now = self.clock()
        for stored in batch:
            key = stored.key
            if (key.generation_id, key.unit) in mute:
                fates.postponed.append((key, now + RETRY))
            elif not self._is_wanted(stored, now):
                self._let_go(stored, now, fates)
            else:
                try:
                    self._renew(stored, now, fates)
                except PikaserverError as error:
                    why = {"event": "ocsp.failed", "why": str(error)}
                    _log.warning("answers not renewed", extra=why)
                    mute.add((key.generation_id, key.unit))
                    fates.postponed.append((key, now + RETRY))
        return fates

    def _is_wanted(self, stored: StoredAnswer, now: datetime) -> bool:
        issuer = self.issuers.get(stored.key.generation_id, stored.key.form)
        if issuer is None:
            return False
        terms = self.settings.terms(issuer.authority)
        if stored.key.unit not in ("", *terms.units):
            return False
        return terms.warm or self._is_asked_for(stored, now)

    def _is_asked_for(self, stored: StoredAnswer, now: datetime) -> bool:
        return stored.asked_at >= now - timedelta(days=self.settings.keep_days)

    def _let_go(self, stored: StoredAnswer, now: datetime, fates: _Fates) -> None:
        """Keep what nobody asks for until it ends: somebody may, while the key is away."""
        if stored.next_update < now:
            fates.removed.append(stored.key)
        else:
            fates.postponed.append((stored.key, stored.next_update + timedelta(seconds=1)))

    def _renew(self, stored: StoredAnswer, now: datetime, fates: _Fates) -> None:
        expired = self._is_asked_for(stored, now)
        answer = self.presigned.renew(stored.key, expired=expired)
        if answer is None:
            self._let_go(stored, now, fates)
        else:
            fates.renewed.append(answer)
