"""Gives services the keys that they answer with, each with a certificate that is good now."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Lock

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict, PikaserverError
from pikaserver.api.operations import Clock, Health, HealthState
from pikaserver.api.services import DecryptionKey, ServiceKey, ServiceUse
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.preparation import key_reference
from pikaserver.authority.services.certificates import Made, ServiceCertificates
from pikaserver.authority.services.limits import limit_of, only_messages
from pikaserver.authority.services.opened import OpenedDecryptionKey, OpenedKey
from pikaserver.authority.signers import SignerRegistry

RETRY = timedelta(minutes=1)
"""While there is a certificate that serves, another one is tried so often at most."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    """One use: what serves it, when that was looked at, and what failed."""

    lock: Lock = field(default_factory=Lock)
    made: Made | None = None
    key: OpenedKey | None = None
    changes: int | None = None
    last_attempt: datetime | None = None
    failure: str | None = None
    decryption: tuple[int, Sequence[DecryptionKey]] | None = None


class ServiceKeysInUse:
    """Implements ``pikaserver.api.services.ServiceKeys``."""

    def __init__(
        self,
        certificates: ServiceCertificates,
        authorities: AuthorityDirectory,
        signers: SignerRegistry,
        changes: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._certificates = certificates
        self._authorities = authorities
        self._signers = signers
        self._changes = changes
        self._clock = clock
        self._uses: dict[ServiceUse, _Kept] = {}

    def get(self, use: ServiceUse) -> ServiceKey:
        """See the protocol."""
        kept = self._uses.setdefault(use, _Kept())
        changes, key = self._changes(), kept.key
        # Nothing was written since: what was good is good but for its time.
        if key is not None and kept.changes == changes and not self._is_due(kept.made):
            return key
        with kept.lock:
            return self._looked_up(use, kept, changes)

    def _looked_up(self, use: ServiceUse, kept: _Kept, changes: int) -> ServiceKey:
        issuer = self._authorities.key(use.authority, use.generation)
        made = kept.made and self._certificates.again(kept.made)
        if made is None or made.record.status is not CertificateStatus.VALID:
            made = self._certificates.newest(use, issuer)
        if made is None or self._is_due(made):
            made = self._renewed(use, issuer, kept, made)
        if kept.key is None or kept.made is None or kept.made.record.id != made.record.id:
            kept.key = self._opened(use, made, issuer)
        kept.made, kept.changes = made, changes
        return kept.key

    def _renewed(
        self, use: ServiceUse, issuer: IssuingKey, kept: _Kept, present: Made | None
    ) -> Made:
        now = self._clock()
        if present is not None and kept.last_attempt and now < kept.last_attempt + RETRY:
            return present
        kept.last_attempt = now
        try:
            made = self._certificates.make(use, issuer)
        except PikaserverError as error:
            kept.failure = str(error)
            if present is None:
                raise
            _log.warning(
                "service certificate not renewed",
                extra={"event": "service.failed", "service": use.service, "why": str(error)},
            )
            return present
        kept.failure = None
        return made

    def authority_key(self, authority: str, generation: int | None = None) -> ServiceKey:
        """See the protocol."""
        issuer = self._authorities.key(authority, generation)
        if issuer.generation.key is None:
            raise Conflict(f"the key of authority {authority!r} is not on this server")
        return OpenedKey(
            certificate=issuer.generation.certificate,
            chain=issuer.generation.chain,
            public_key=issuer.public_key,
            signer=self._signers.open(key_reference(issuer), issuer.generation.algorithm),
            open=partial(self._signers.open, key_reference(issuer)),
            limit=only_messages,
        )

    def decryption_keys(self, use: ServiceUse) -> Sequence[DecryptionKey]:
        """See the protocol."""
        kept = self._uses.setdefault(use, _Kept())
        changes, known = self._changes(), kept.decryption
        if known is None or known[0] != changes:
            issuer = self._authorities.key(use.authority, use.generation)
            found = [
                OpenedDecryptionKey(
                    _certificate(made.record), self._signers.open_decrypter(made.key)
                )
                for made in self._certificates.valid(use, issuer)
            ]
            known = kept.decryption = changes, found
        return known[1]

    def authority_decryption_key(
        self, authority: str, generation: int | None = None
    ) -> DecryptionKey:
        """See the protocol."""
        issuer = self._authorities.key(authority, generation)
        if issuer.generation.key is None:
            raise Conflict(f"the key of authority {authority!r} is not on this server")
        decrypter = self._signers.open_decrypter(key_reference(issuer))
        return OpenedDecryptionKey(issuer.generation.certificate, decrypter)

    def health(self) -> Health:
        """Tell which certificates of services could not be renewed."""
        faults = [
            f"{use.service} of {use.authority}: {kept.failure}"
            for use, kept in list(self._uses.items())
            if kept.failure is not None
        ]
        if faults:
            return Health(HealthState.DEGRADED, "not renewed: " + "; ".join(faults))
        return Health(HealthState.OK, f"{len(self._uses)} keys of services are good")

    def _opened(self, use: ServiceUse, made: Made, issuer: IssuingKey) -> OpenedKey:
        return OpenedKey(
            certificate=_certificate(made.record),
            chain=(issuer.generation.certificate, *issuer.generation.chain),
            public_key=made.public_key,
            signer=self._signers.open(made.key, made.algorithm),
            open=partial(self._signers.open, made.key),
            limit=limit_of(use.service),
        )

    def _is_due(self, made: Made | None) -> bool:
        """Tell whether two thirds of its life are over."""
        if made is None:
            return True
        life = made.record.not_after - made.record.not_before
        return self._clock() >= made.record.not_before + life * 2 / 3


def _certificate(record: CertificateRecord) -> bytes:
    if record.certificate is None:
        raise Conflict("the certificate was not finished; ask again")
    return record.certificate
