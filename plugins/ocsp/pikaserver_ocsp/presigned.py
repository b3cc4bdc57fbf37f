"""Answers without a nonce: given as they are kept, made anew when due or no longer true."""

from collections.abc import Callable

from pikaserver.api.certificates import Certificates
from pikaserver.api.errors import PikaserverError, StorageUnavailable
from pikaserver.api.operations import Clock
from pikaserver_ocsp.issuers import Issuer, Issuers
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer
from pikaserver_ocsp.signing import AnswerSigning, Statement, statement
from pikaserver_ocsp.store import AnswerStore

Later = Callable[[AnswerKey], bool]
"""Takes an answer that is due but still holds; ``False`` where nobody will see to it."""


class Presigned:
    """Gives answers; the status is looked up for each, so a revocation shows at once."""

    def __init__(
        self,
        store: AnswerStore,
        signing: AnswerSigning,
        certificates: Certificates,
        issuers: Issuers,
        clock: Clock,
    ) -> None:
        self._store = store
        self._signing = signing
        self._certificates = certificates
        self._issuers = issuers
        self._clock = clock

    def get(self, issuer: Issuer, serial: int, unit: str, later: Later) -> KeptAnswer | None:
        """Return the answer about a certificate; ``None`` for one that was not issued.

        Raises:
            Unavailable: there is none that holds, and none can be signed now.
            PikaserverError: there is no responder; the text says why.
        """
        key = AnswerKey(issuer.generation.id, serial, issuer.form, unit)
        kept = self._store.at_hand(key)
        try:
            said, holds = self._look(key, kept)
            if said is None or not said.lasts:
                return None
            if kept is None or not holds or kept.is_due(self._clock()):
                # Another node may have been quicker, or this one before it was started anew.
                kept, holds = self._stored(key, kept, holds=holds)
        except StorageUnavailable:
            # Nobody can be told of a revocation now; what is signed goes on until it ends.
            if kept is None or not kept.is_in_time(self._clock()):
                raise
            return kept
        if kept is None or not holds:
            return self._made(issuer, serial, said, unit)
        if kept.is_due(self._clock()) and not later(key):
            try:
                return self._made(issuer, serial, said, unit)
            except PikaserverError:
                return kept  # its responder's trouble is told by the health check
        self._store.note(key)
        return kept

    def renew(self, key: AnswerKey, *, expired: bool = True) -> KeptAnswer | None:
        """Sign an answer anew, whether due or not; ``None`` where nothing is to be said.

        Args:
            key: which answer.
            expired: whether one about an expired certificate is wanted.

        Raises:
            PikaserverError: it cannot be signed now.
        """
        issuer = self._issuers.get(key.generation_id, key.form)
        if issuer is None:
            return None
        status = self._certificates.status(key.generation_id, [key.serial]).get(key.serial)
        if status is None or not (expired or status.not_after >= self._clock()):
            return None
        said = statement(status)
        return self._signing.keep(issuer, key.serial, said, key.unit) if said.lasts else None

    def _made(self, issuer: Issuer, serial: int, said: Statement, unit: str) -> KeptAnswer:
        answer = self._signing.keep(issuer, serial, said, unit)
        self._store.keep(answer)
        return answer

    def _look(self, key: AnswerKey, kept: KeptAnswer | None) -> tuple[Statement | None, bool]:
        """Return what is to be said, and whether a kept answer says it, by one look."""
        serials = [key.serial]
        if kept is not None and kept.signer_serial is not None:
            serials.append(kept.signer_serial)
        statuses = self._certificates.status(key.generation_id, serials)
        status = statuses.get(key.serial)
        if status is None:
            return None, False
        said = statement(status)
        return said, kept is not None and kept.holds(said.octets, statuses, self._clock())

    def _stored(
        self, key: AnswerKey, kept: KeptAnswer | None, *, holds: bool
    ) -> tuple[KeptAnswer | None, bool]:
        """Return what all nodes know, if that is newer and holds."""
        stored = self._store.read(key, newer_than=kept)
        if stored is None:
            return kept, holds
        _, stored_holds = self._look(key, stored)
        return (stored, True) if stored_holds else (kept, holds)
