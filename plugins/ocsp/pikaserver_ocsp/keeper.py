"""The thread of each node that stores new answers and renews those that somebody waits for."""

import logging
import threading
from collections import deque

from pikaserver.api.certificates import Authorities, CertificateRecord
from pikaserver.api.errors import NotFound, PikaserverError, Unavailable
from pikaserver.api.operations import CertificateRevoked, Clock, Event
from pikaserver.api.storage import Database
from pikaserver_ocsp import storage
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer
from pikaserver_ocsp.presigned import Presigned
from pikaserver_ocsp.store import AnswerStore

EVERY_SECONDS = 1.0
WAITING = 10_000
"""Answers that wait to be renewed at most; others are renewed by the job, or when asked for."""

BATCH = 100

_log = logging.getLogger(__name__)


class Keeper:
    """Works beside the requests; an observer, too, of revocations on this node."""

    def __init__(
        self,
        store: AnswerStore,
        presigned: Presigned,
        database: Database,
        authorities: Authorities,
        clock: Clock,
    ) -> None:
        self._store = store
        self._presigned = presigned
        self._database = database
        self._authorities = authorities
        self._clock = clock
        self._wanted: dict[AnswerKey, None] = {}
        self._changed: deque[tuple[str, int, int]] = deque(maxlen=WAITING)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to work; return at once."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ocsp-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Store what is left, and end."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping = True
        self._wake.set()
        thread.join()

    def later(self, key: AnswerKey) -> bool:
        """Renew an answer soon; ``False`` where nobody works or too much waits."""
        if self._thread is None or len(self._wanted) >= WAITING:
            return False
        self._wanted[key] = None
        return True

    def notice(self, event: Event) -> None:
        """See ``pikaserver.api.operations.Observer``: what is said of it is to be signed anew."""
        if not isinstance(event, CertificateRevoked):
            return
        if self._thread is None:
            self._leave(event.record)
            return
        record = event.record
        self._changed.append((record.authority, record.generation, record.serial))
        self._wake.set()

    def _leave(self, record: CertificateRecord) -> None:
        """Leave it to the job of whoever serves: a command ends before a slow key has signed."""
        generation_id = self._generation(record.authority, record.generation)
        if generation_id is not None:
            with self._database.transaction() as connection:
                storage.hasten(connection, generation_id, record.serial, self._clock())

    def work(self) -> None:
        """Do once what there is to do."""
        try:
            self._collect_changed()
            self._renew()
            self._store.flush()
        except Unavailable as error:
            _log.warning("answers not kept", extra={"event": "ocsp.postponed", "why": str(error)})

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(EVERY_SECONDS)
            self._wake.clear()
            self._work_on()
        self._work_on()

    def _work_on(self) -> None:
        try:
            self.work()
        except Exception:  # noqa: BLE001 - a thread: it must outlive what one answer does to it
            _log.exception("keeper stumbled", extra={"event": "ocsp.keeper"})

    def _collect_changed(self) -> None:
        """Look up which answers are kept about certificates whose status changed."""
        while self._changed:
            authority, number, serial = self._changed.popleft()
            generation_id = self._generation(authority, number)
            if generation_id is None:
                continue
            with self._database.reading() as connection:
                for stored in storage.of_serial(connection, generation_id, serial):
                    self._wanted[stored.key] = None

    def _generation(self, authority: str, number: int) -> int | None:
        try:
            generations = self._authorities.get(authority).generations
        except NotFound:
            return None
        return next((one.id for one in generations if one.number == number), None)

    def _renew(self) -> None:
        while self._wanted:
            keys = [key for key, _ in zip(list(self._wanted), range(BATCH), strict=False)]
            answers = [answer for key in keys if (answer := self._renewed(key)) is not None]
            self._store.renewed(answers)
            for key in keys:
                self._wanted.pop(key, None)

    def _renewed(self, key: AnswerKey) -> KeptAnswer | None:
        try:
            return self._presigned.renew(key)
        except PikaserverError as error:
            # The health check tells which responder it is; asked again, it is tried again.
            _log.info("answer not renewed", extra={"event": "ocsp.failed", "why": str(error)})
            return None
