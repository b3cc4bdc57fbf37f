"""The job that makes answers for all unexpired certificates before anybody asks."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pikaserver.api.certificates import (
    Authorities,
    CertificateQuery,
    CertificateRecord,
    Certificates,
)
from pikaserver.api.errors import PikaserverError
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver_ocsp import storage
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer
from pikaserver_ocsp.presigned import Presigned
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.store import AnswerStore
from pikaserver_ocsp.sweeping import RETRY

PAGE = 500

FORM = 0
"""Nearly all clients name issuers by SHA-1 with NULL, which RFC 5019 prescribed."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Scan:
    """How far an authority's certificates were gone through, newest first.

    ``after`` is the last id seen, ``None`` before the first page.  ``whole_since`` is when
    the last scan began that went through all of them.  After a failure it is tried again at
    ``retry_at``.
    """

    after: int | None = None
    is_whole: bool = True
    began: datetime | None = None
    whole_since: datetime | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warming:
    """Looks for certificates without an answer.

    New ones are found at once, for a scan ends at the first page that has all its answers;
    once in half of an answer's time it goes on to the end.
    """

    settings: OcspSettings
    database: Database
    authorities: Authorities
    certificates: Certificates
    presigned: Presigned
    store: AnswerStore
    clock: Clock
    _scans: dict[str, _Scan] = field(default_factory=dict, init=False, repr=False)

    def run(self) -> Iterator[int]:
        """Scan each authority that is kept warm; yield how many answers each page made."""
        for name in self.authorities.names():
            if self.settings.terms(name).warm:
                yield from self._scan(name, self._scans.setdefault(name, _Scan()))

    def _scan(self, name: str, scan: _Scan) -> Iterator[int]:
        now = self.clock()
        if scan.retry_at is not None and now < scan.retry_at:
            return
        scan.retry_at = None
        if scan.after is None:
            half = self.settings.terms(name).validity / 2
            scan.is_whole = scan.whole_since is None or now >= scan.whole_since + half
            scan.began = now
        while True:
            query = CertificateQuery(authority=name, after=scan.after, limit=PAGE)
            page = self.certificates.find(query)
            try:
                made = self._complete(name, page)
            except PikaserverError as error:
                _log.warning("answers not made", extra={"event": "ocsp.failed", "why": str(error)})
                scan.retry_at = now + RETRY
                return
            if len(page) < PAGE or not (made or scan.is_whole):
                scan.whole_since = scan.began if scan.is_whole else scan.whole_since
                scan.after = None
                yield made
                return
            scan.after = page[-1].id
            yield made

    def _complete(self, name: str, page: Sequence[CertificateRecord]) -> int:
        """Make the answers that a page lacks; return how many."""
        made = 0
        now = self.clock()
        generations = {one.number: one.id for one in self.authorities.get(name).generations}
        for unit in ("", *self.settings.terms(name).units):
            for number, generation_id in generations.items():
                keys = [
                    AnswerKey(generation_id, record.serial, FORM, unit)
                    for record in page
                    if record.generation == number and _is_alive(record, now)
                ]
                made += self._make(keys)
        return made

    def _make(self, keys: Sequence[AnswerKey]) -> int:
        with self.database.reading() as connection:
            stored = storage.there(connection, keys)
        answers: list[KeptAnswer] = []
        try:
            for key in keys:
                answer = None if key in stored else self.presigned.renew(key)
                if answer is not None:
                    answers.append(answer)
        finally:
            self.store.renewed(answers)
        return len(answers)


def _is_alive(record: CertificateRecord, now: datetime) -> bool:
    return record.certificate is not None and record.not_after >= now
