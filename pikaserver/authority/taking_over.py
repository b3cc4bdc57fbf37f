"""A prepared key becomes the one that issues: now, or on a day that was set."""

import logging
from dataclasses import dataclass
from datetime import datetime

from pikaserver.api.certificates import AuthorityRecord
from pikaserver.api.errors import Conflict, PikaserverError, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.ceremony import Ceremony
from pikaserver.authority.chains import is_self_signed
from pikaserver.authority.succession import Succession
from pikaserver.storage import authorities as storage
from pikaserver.storage import revisions

ACTOR = "server"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingOver:
    """Lets prepared keys take over; `Succession.rekey` prepares them."""

    database: Database
    authorities: AuthorityDirectory
    succession: Succession
    ceremony: Ceremony
    audit: AuditTrail
    clock: Clock

    def now(self, name: str, actor: str) -> AuthorityRecord:
        """Make the prepared key of an authority its current one.

        Raises:
            Conflict: none is prepared, or its certificate is revoked or over.
        """
        coming = self._prepared(name)
        if coming.revoked or coming.certificate.not_valid_after_utc <= self.clock():
            raise Conflict(f"the prepared certificate of authority {name!r} is revoked or over")
        if is_self_signed(coming.certificate):
            self.succession.roll_over(self.authorities.key(name), coming)
        with self.database.transaction() as connection:
            storage.take_over(connection, coming.generation.id)
            settings = self.authorities.view(connection).settings[name]
            text = settings.model_copy(update={"takes_over_at": None}).model_dump_json()
            storage.save_settings(connection, name, text)
            revisions.advance(connection)
            self.audit.record(
                connection,
                "authority.taken-over",
                actor,
                authority=name,
                generation=coming.generation.number,
                key=coming.generation.key,
            )
        self.ceremony.hand_over(name)
        return self.authorities.get(name)

    def on(self, name: str, moment: datetime, actor: str) -> AuthorityRecord:
        """Set when the prepared key of an authority takes over by itself.

        Raises:
            Conflict: none is prepared.
            RequestRejected: the moment is over, or the present certificate is by then.
        """
        self._prepared(name)
        ends = self.authorities.key(name).certificate.not_valid_after_utc
        if not self.clock() < moment < ends:
            raise RequestRejected(
                f"the key can take over until the present certificate ends, {ends:%Y-%m-%d %H:%M}"
                " UTC, and not in the past"
            )
        with self.database.transaction() as connection:
            settings = self.authorities.view(connection).settings[name]
            text = settings.model_copy(update={"takes_over_at": moment}).model_dump_json()
            storage.save_settings(connection, name, text)
            revisions.advance(connection)
            self.audit.record(
                connection,
                "authority.take-over-set",
                actor,
                authority=name,
                takes_over_at=moment.isoformat(),
            )
        return self.authorities.get(name)

    def due(self) -> None:
        """Let every prepared key take over whose moment has come; a job."""
        now = self.clock()
        for name in self.authorities.names():
            moment = self.authorities.settings(name).takes_over_at
            if moment is None or moment > now:
                continue
            try:
                self.now(name, ACTOR)
            except PikaserverError as error:
                # It stays due: the next run tries again, and the operator reads why.
                _log.error(
                    "prepared key not taken over",
                    extra={
                        "event": "authority.not-taken-over",
                        "authority": name,
                        "why": str(error),
                    },
                )

    def _prepared(self, name: str) -> IssuingKey:
        coming = self.authorities.prepared(name)
        if coming is None:
            raise Conflict(
                f"authority {name!r} has no prepared key: 'ca rekey --prepare' makes one"
            )
        return coming
