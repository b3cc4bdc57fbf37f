"""CRLs as the rest of the house sees them: which are due, which is the newest."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial

from pikaserver.api.crls import FULL_CRL, CrlRecord, CrlSummary
from pikaserver.api.errors import Conflict, KeyUnavailable, PikaserverError, SignaturePending
from pikaserver.api.operations import Clock, CrlIssued
from pikaserver.api.storage import Database
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.crls import scopes
from pikaserver.authority.crls.kept import KeptCrls, summary
from pikaserver.authority.crls.signing import CrlSigning
from pikaserver.authority.events import Events
from pikaserver.authority.signers import SignerRegistry
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.storage import crls as storage

Progress = Callable[[IssuingKey, str, int], None]
"""Takes the key, the scope, and how many entries were read."""

_log = logging.getLogger(__name__)


def _log_progress(key: IssuingKey, scope: str, entries: int) -> None:
    _log.info(
        "CRL grows",
        extra={"authority": key.authority, "scope": scope, "entries": entries},
    )


@dataclass(frozen=True, kw_only=True)
class CrlMaker:
    """Implements ``pikaserver.api.certificates.Crls``."""

    database: Database
    authorities: AuthorityDirectory
    signers: SignerRegistry
    urls: AuthorityUrls
    audit: AuditTrail
    events: Events
    clock: Clock

    @cached_property
    def kept(self) -> KeptCrls:
        """The newest CRLs: many may download a large one, and they share its octets."""
        return KeptCrls(self.database)

    def latest(
        self, authority: str, generation: int | None = None, scope: str = FULL_CRL
    ) -> CrlRecord:
        """See the protocol; while the database is away it is the last one that was read."""
        return self.kept.newest(self.authorities.key(authority, generation), scope)

    def summaries(self) -> Sequence[CrlSummary]:
        """See the protocol."""
        found = []
        with self.database.reading() as connection:
            for key in self._living_keys():
                for scope in storage.scopes(connection, key.generation.id):
                    row = storage.latest(connection, key.generation.id, scope)
                    found.append(summary(key, row))
        return found

    def issue(self, authority: str, tell: Progress = _log_progress) -> Sequence[CrlRecord]:
        """See the protocol."""
        keys = [key for key in self._signing_keys() if key.authority == authority]
        if not keys:
            self.authorities.get(authority)
            raise Conflict(f"authority {authority!r} has no key here that could sign a CRL")
        return [self._issue(key, scope, tell) for key in keys for scope in self._scopes(key)]

    def issue_due(self, tell: Progress = _log_progress) -> Sequence[CrlRecord]:
        """See the protocol; one authority that cannot sign does not keep others from it."""
        return [
            record
            for key in self._signing_keys()
            for scope in self._scopes(key)
            if self._is_due(key, scope)
            for record in self._try(key, scope, tell)
        ]

    def _scopes(self, key: IssuingKey) -> list[str]:
        with self.database.reading() as connection:
            return list(scopes.scopes_of(connection, key))

    def _living_keys(self) -> Iterator[IssuingKey]:
        now = self.clock()
        for key in self.authorities.all_keys():
            if key.certificate.not_valid_after_utc > now:
                yield key

    def _signing_keys(self) -> Iterator[IssuingKey]:
        return (key for key in self._living_keys() if key.generation.key is not None)

    def _issue(self, key: IssuingKey, scope: str, tell: Progress) -> CrlRecord:
        self._signing.sign(key, scope, partial(tell, key, scope))
        record = self.kept.newest(key, scope)
        self.events.announce(CrlIssued(record))
        return record

    def _try(self, key: IssuingKey, scope: str, tell: Progress) -> Iterator[CrlRecord]:
        """Sign one CRL; why it could not be signed is logged, each kind in its own way."""
        extra = {"event": "crl.failed", "authority": key.authority, "scope": scope}
        try:
            yield self._issue(key, scope, tell)
        except SignaturePending as pending:
            # Asked for again when it may be there, not at once.
            later = self.clock() + timedelta(seconds=pending.retry_after)
            self._not_before[key.generation.id, scope] = later
            extra |= {"event": "crl.awaiting", "why": str(pending)}
            _log.info("CRL awaits its signature", extra=extra)
        except KeyUnavailable as away:
            _log.warning("CRL not issued", extra=extra | {"why": str(away)})
        except PikaserverError:
            _log.exception("CRL not issued", extra=extra)

    def _is_due(self, key: IssuingKey, scope: str) -> bool:
        now = self.clock()
        if now < self._not_before.get((key.generation.id, scope), now):
            return False
        with self.database.reading() as connection:
            return scopes.is_due(connection, key, scope, now)

    @cached_property
    def _signing(self) -> CrlSigning:
        return CrlSigning(
            database=self.database,
            signers=self.signers,
            urls=self.urls,
            audit=self.audit,
            clock=self.clock,
        )

    @cached_property
    def _not_before(self) -> dict[tuple[int, str], datetime]:
        return {}
