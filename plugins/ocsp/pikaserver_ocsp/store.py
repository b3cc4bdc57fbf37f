"""Where answers are kept: at hand in this process, and in the database for all nodes."""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from cryptography import x509

from pikaserver.api.certificates import Certificates
from pikaserver.api.errors import NotFound
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver_ocsp import storage
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer, Memory
from pikaserver_ocsp.keys import OWN

WAITING = 20_000
"""Answers that wait to be stored at most; what is lost is only made once more."""


class AnswerStore:
    """Finds answers, and stores new ones a little later: they are durable enough when sent."""

    def __init__(
        self, database: Database, certificates: Certificates, clock: Clock, most: int
    ) -> None:
        self._database = database
        self._certificates = certificates
        self._clock = clock
        self._memory = Memory(most)
        self._fresh: deque[KeptAnswer] = deque(maxlen=WAITING)
        # Answers whose being asked for is not noted yet, and those for which it is to be.
        self._unnoted: dict[AnswerKey, None] = {}
        self._asked: deque[AnswerKey] = deque(maxlen=WAITING)
        self._flushing = Lock()
        self._responders: dict[int, tuple[bytes, int]] = {}

    def __len__(self) -> int:
        return len(self._memory)

    def at_hand(self, key: AnswerKey) -> KeptAnswer | None:
        """Return an answer from memory; whether it still holds is another question."""
        return self._memory.get(key)

    def read(self, key: AnswerKey, newer_than: KeptAnswer | None = None) -> KeptAnswer | None:
        """Return an answer from the database, whichever node made it, unless it is no newer."""
        with self._database.reading() as connection:
            stored = storage.read(connection, key)
        if stored is None or (newer_than and stored.this_update <= newer_than.this_update):
            return None
        answer = self.answer(stored)
        if answer is not None:
            self._put(answer)
        return answer

    def keep(self, answer: KeptAnswer) -> None:
        """Keep an answer for which somebody asks now."""
        self._memory.put(answer)
        self._fresh.append(answer)

    def renewed(self, answers: Sequence[KeptAnswer]) -> None:
        """Keep answers that nobody asked for, durably."""
        with self._database.transaction() as connection:
            storage.write(connection, answers, storage.NEVER)
        for answer in answers:
            if self._memory.get(answer.key) is not None:
                self._put(answer)

    def note(self, key: AnswerKey) -> None:
        """Note that somebody asks for an answer that is kept; once for each that was made."""
        if self._unnoted.pop(key, key) is None:
            self._asked.append(key)

    def flush(self) -> None:
        """Store what is new.

        Raises:
            StorageUnavailable: it could not be stored; it waits for the next time.
        """
        with self._flushing:
            fresh, asked = list(self._fresh), list(self._asked)
            if not fresh and not asked:
                return
            # By their keys, for two transactions that wait for each other's rows would end badly.
            newest = {one.key: one for one in fresh}
            now = self._clock()
            with self._database.transaction() as connection:
                storage.write(connection, [newest[key] for key in sorted(newest)], now)
                storage.note_asked(connection, sorted(set(asked)), now)
            for _ in fresh:
                self._fresh.popleft()
            for _ in asked:
                self._asked.popleft()

    def answer(self, stored: storage.StoredAnswer) -> KeptAnswer | None:
        """Return a stored answer as a whole; ``None`` if its responder is not known here."""
        enclosed: tuple[bytes, ...] = ()
        serial = None
        if stored.certificate_id != OWN:
            try:
                certificate, serial = self._responder(stored.certificate_id)
            except NotFound:
                return None
            enclosed = (certificate,)
        return KeptAnswer(
            key=stored.key,
            status=stored.status,
            signer=stored.certificate_id,
            signer_serial=serial,
            this_update=stored.this_update,
            next_update=stored.next_update,
            signed=stored.signed,
            enclosed=enclosed,
        )

    def _put(self, answer: KeptAnswer) -> None:
        self._memory.put(answer)
        if len(self._unnoted) >= WAITING:
            self._unnoted.clear()
        self._unnoted[answer.key] = None

    def _responder(self, certificate_id: int) -> tuple[bytes, int]:
        """Return certificate and serial number of a responder; there are few of them."""
        if certificate_id not in self._responders:
            certificate = self._certificates.get(certificate_id).certificate
            if certificate is None:
                raise NotFound(f"certificate {certificate_id} was never finished")
            serial = x509.load_der_x509_certificate(certificate).serial_number
            self._responders[certificate_id] = (certificate, serial)
        return self._responders[certificate_id]
