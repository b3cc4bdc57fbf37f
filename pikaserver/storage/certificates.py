"""Certificates: the intent before the signature, the result after it, revocation, search."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.exc import IntegrityError

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateRecord,
    Revocation,
    RevocationReason,
    SerialStatus,
    SignedOctets,
)
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.storage import certificate_statements as sql
from pikaserver.storage import devices
from pikaserver.storage.certificate_records import one_record, records
from pikaserver.storage.devices import Contact
from pikaserver.storage.faults import is_duplicate
from pikaserver.storage.serial_status import serial_status
from pikaserver.storage.tables import certificate

PAGE_LIMIT = 1000
"""The most records that one page of a search holds."""


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """What is stored of a certificate before it is signed.

    ``tbs`` is DER, ``key_hash`` the SHA-256 of its SPKI in hex, ``names`` as in
    CertificateRecord.  ``transaction`` is the requester's own name of the deed, one per door.
    """

    generation_id: int
    serial: int
    tbs: bytes
    key_hash: str
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    template_id: int | None
    template_version: int
    door: str
    requester: str
    transaction: str | None
    renews_id: int | None
    issued_at: datetime
    crl_shard: int | None = None
    device: Contact | None = None
    related: str | None = None
    """The fingerprint of the certificate that it is bound to (RFC 9763)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A certificate that may or may not have been signed; ``tbs`` is DER."""

    id: int
    generation_id: int
    serial: int
    tbs: bytes
    door: str
    requester: str
    issued_at: datetime


def insert_intent(connection: Connection, new: NewCertificate) -> int:
    """Reserve the serial and store what will be signed; return the certificate's id.

    Raises:
        Conflict: the serial, or the transaction at this door, is taken.
        RequestRejected: the device that asks was retired.
    """
    seen = new.device and devices.note(connection, new.device, new.door, new.issued_at)
    try:
        certificate_id = sql.INSERT.number(connection, _row(new) | {"device_id": seen})
    except IntegrityError as error:
        if is_duplicate(error):
            raise Conflict("the serial or the transaction is taken") from error
        raise
    if new.names:
        sql.INSERT_NAMES.run_many(
            connection,
            [
                {"certificate_id": certificate_id, "position": position, "name": name.casefold()}
                for position, name in enumerate(new.names)
            ],
        )
    return certificate_id


def complete(connection: Connection, certificate_id: int, der: bytes) -> None:
    """Store the signed certificate.

    Raises:
        Conflict: it is no intent any more.
    """
    digest = hashlib.sha256(der).hexdigest()
    values = {"of_id": certificate_id, "der": der, "digest": digest}
    if sql.COMPLETE.run(connection, values) != 1:
        raise Conflict(f"certificate {certificate_id} does not wait for its signature")


def open_intents(connection: Connection) -> list[Intent]:
    """Return what waits for its signature, oldest first; after a crash it may have one."""
    return _intents(connection, sql.INTENTS, {})


def await_signature(connection: Connection, certificate_id: int) -> None:
    """Keep an intent, over restarts too: who keeps the key signs these very octets later.

    Raises:
        Conflict: it is no intent any more.
    """
    if connection.execute(sql.AWAIT, {"of_id": certificate_id}).rowcount != 1:
        raise Conflict(f"certificate {certificate_id} does not wait for its signature")


def awaiting(connection: Connection, new: NewCertificate) -> list[Intent]:
    """Return the intents that were kept for the same key, issuer and door."""
    wanted = {"generation": new.generation_id, "of_key": new.key_hash, "of_door": new.door}
    return _intents(connection, sql.AWAITING, wanted)


def abandon(connection: Connection, certificate_id: int) -> None:
    """Note that no signature was made; the serial stays reserved and can be revoked.

    Raises:
        Conflict: it is no intent any more.
    """
    if connection.execute(sql.ABANDON, {"of_id": certificate_id}).rowcount != 1:
        raise Conflict(f"certificate {certificate_id} does not wait for its signature")


def get(connection: Connection, certificate_id: int, now: datetime) -> CertificateRecord:
    """Return one certificate with its status at that time.

    Raises:
        NotFound: no such certificate.
    """
    found = one_record(connection, sql.BY_ID, {"of_id": certificate_id}, now)
    if found is None:
        raise NotFound(f"there is no certificate {certificate_id}")
    return found


def by_transaction(
    connection: Connection, door: str, transaction: str, now: datetime
) -> CertificateRecord | None:
    """Return what a requester's transaction led to at this door, if anything."""
    wanted = {"of_door": door, "of_transaction": transaction}
    return one_record(connection, sql.BY_TRANSACTION, wanted, now)


def generation_id(connection: Connection, certificate_id: int) -> int:
    """Return the generation of an authority that signed, or shall sign, a certificate."""
    statement = select(certificate.c.generation_id).where(certificate.c.id == certificate_id)
    return int(connection.execute(statement).scalar_one())


def find(connection: Connection, query: CertificateQuery, now: datetime) -> list[CertificateRecord]:
    """Return one page, newest first; ``limit`` is at most ``PAGE_LIMIT``.

    ``subject`` is any part of the subject in any case.  ``name`` is a whole name, with its
    kind (``dns:www.example``) or without.  Abandoned intents are found by their serial only.
    """
    statement = sql.search(query).limit(min(query.limit, PAGE_LIMIT))
    return records(connection, statement, now)


def revoke(
    connection: Connection,
    certificate_id: int,
    revocation: Revocation,
    *,
    crl_entry: bytes,
    number: int,
) -> bool:
    """Revoke or hold; ``False`` if it is revoked or held already, or not there.

    ``number`` is how many revocations its generation has seen, this one included.
    """
    held = revocation.reason is RevocationReason.CERTIFICATE_HOLD
    values = {
        "of_id": certificate_id,
        "at": revocation.at,
        "reason": revocation.reason.value,
        "invalidity": revocation.invalidity_at,
        "entry": crl_entry,
        "count": number,
    }
    return connection.execute(sql.HOLD if held else sql.REVOKE, values).rowcount == 1


def release(connection: Connection, certificate_id: int) -> bool:
    """Take a certificate off hold; ``False`` if it is not on hold."""
    return connection.execute(sql.RELEASE, {"of_id": certificate_id}).rowcount == 1


def revoked_among(connection: Connection, fingerprints: Collection[str]) -> set[str]:
    """Return which of these certificates (SHA-256, hex) are revoked or on hold."""
    statement = select(certificate.c.fingerprint).where(
        certificate.c.fingerprint.in_(fingerprints), certificate.c.revoked_at.is_not(None)
    )
    return set(connection.execute(statement).scalars())


class CertificateStore:
    """Reading what was issued, as plugins see it (``pikaserver.api.certificates``)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, query: CertificateQuery) -> Sequence[CertificateRecord]:
        """See ``pikaserver.api.certificates.Certificates``."""
        with self._database.reading() as connection:
            return find(connection, query, self._clock())

    def get(self, certificate_id: int) -> CertificateRecord:
        """See ``pikaserver.api.certificates.Certificates``."""
        with self._database.reading() as connection:
            return get(connection, certificate_id, self._clock())

    def by_certificate(self, certificate: bytes) -> CertificateRecord:
        """See ``pikaserver.api.certificates.Certificates``."""
        wanted = {"of_fingerprint": hashlib.sha256(certificate).hexdigest()}
        with self._database.reading() as connection:
            found = one_record(connection, sql.BY_FINGERPRINT, wanted, self._clock())
        if found is None:
            raise NotFound("the certificate is not one of ours")
        return found

    def signed_octets(self, generation_id: int) -> Iterator[SignedOctets]:
        """See ``pikaserver.api.certificates.Certificates``."""
        with self._database.reading() as connection:
            for row in connection.execute(sql.SIGNED_OCTETS, {"generation": generation_id}):
                yield SignedOctets(int(row.serial, 16), row.tbs_hash, row.state, row.issued_at)

    def status(self, generation_id: int, serials: Collection[int]) -> Mapping[int, SerialStatus]:
        """See ``pikaserver.api.certificates.Certificates``."""
        with self._database.reading() as connection:
            return serial_status(connection, generation_id, serials)


def _intents(
    connection: Connection, statement: Select[*tuple[Any, ...]], values: dict[str, object]
) -> list[Intent]:
    return [
        Intent(row.id, row.generation_id, int(row.serial, 16), *row[3:])
        for row in connection.execute(statement, values)
    ]


def _row(new: NewCertificate) -> dict[str, object]:
    return {
        "generation_id": new.generation_id,
        "serial": sql.serial_text(new.serial),
        "state": "intent",
        "tbs_hash": hashlib.sha256(new.tbs).digest(),
        "tbs": new.tbs,
        "key_hash": new.key_hash,
        "subject": new.subject,
        "subject_folded": new.subject.casefold(),
        "not_before": new.not_before,
        "not_after": new.not_after,
        "template_id": new.template_id,
        "template_version": new.template_version,
        "door": new.door,
        "requester": new.requester,
        "transaction": new.transaction,
        "renews_id": new.renews_id,
        "issued_at": new.issued_at,
        "crl_shard": new.crl_shard,
        "related": new.related,
    }
