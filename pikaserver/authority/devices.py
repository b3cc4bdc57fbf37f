"""Devices as an operator treats them: found, retired with all they hold, taken back."""

from collections.abc import Sequence

from sqlalchemy import Connection

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.devices import DeviceQuery, DeviceRecord, DeviceState
from pikaserver.api.errors import Conflict
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.revocation import Revocations
from pikaserver.storage import certificates, requests
from pikaserver.storage import devices as storage

_HELD = (CertificateStatus.VALID, CertificateStatus.ON_HOLD, CertificateStatus.PENDING)


class DeviceDirectory:
    """Implements ``pikaserver.api.devices.Devices``, and does what operators ask."""

    def __init__(
        self, database: Database, revocations: Revocations, audit: AuditTrail, clock: Clock
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._audit = audit
        self._clock = clock

    def get(self, device_id: int) -> DeviceRecord:
        """See the protocol."""
        with self._database.reading() as connection:
            return storage.get(connection, device_id)

    def named(self, name: str) -> DeviceRecord:
        """Return the device of this name, in any case.

        Raises:
            NotFound: no such device.
        """
        with self._database.reading() as connection:
            return storage.named(connection, name)

    def find(self, query: DeviceQuery) -> Sequence[DeviceRecord]:
        """See the protocol."""
        with self._database.reading() as connection:
            return storage.find(connection, query)

    def met(self, record: CertificateRecord, door: str) -> None:
        """See the protocol."""
        with self._database.transaction() as connection:
            storage.met(connection, record.id, door, self._clock())

    def retire(
        self, device: DeviceRecord, actor: str, reason: RevocationReason
    ) -> list[CertificateRecord]:
        """Give a device nothing more, decline what it asked, and revoke all that it holds.

        Raises:
            Conflict: it is retired already.
        """
        now = self._clock()
        with self._database.transaction() as connection:
            if storage.get(connection, device.id).state is DeviceState.RETIRED:
                raise Conflict(f"the device {device.name!r} is retired already")
            storage.set_state(connection, device.id, DeviceState.RETIRED)
            requests.decline_of_device(connection, device.id, actor, now)
            revoked = [
                self._revocations.revoke_in(connection, record, Revocation(now, reason), actor)
                for record in self._held(connection, device)
            ]
            self._audit.record(
                connection,
                "device.retired",
                actor,
                device=device.id,
                name=device.name,
                revoked=len(revoked),
                reason=reason.rfc_name,
            )
        for record in revoked:
            self._revocations.announce(record)
        return revoked

    def take_back(self, device: DeviceRecord, actor: str) -> None:
        """Let a device ask for certificates again, if it was retired."""
        with self._database.transaction() as connection:
            if storage.get(connection, device.id).state is DeviceState.RETIRED:
                storage.set_state(connection, device.id, DeviceState.ACTIVE)
                self._audit.record(
                    connection, "device.taken-back", actor, device=device.id, name=device.name
                )

    def _held(self, connection: Connection, device: DeviceRecord) -> list[CertificateRecord]:
        """Return all certificates of a device that are, or may become, of use to it."""
        held: list[CertificateRecord] = []
        for status in _HELD:
            after = None
            while True:
                query = CertificateQuery(
                    device=device.id, status=status, after=after, limit=certificates.PAGE_LIMIT
                )
                page = certificates.find(connection, query, self._clock())
                held += page
                if len(page) < certificates.PAGE_LIMIT:
                    break
                after = page[-1].id
        return held
