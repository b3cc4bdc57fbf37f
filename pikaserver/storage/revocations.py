"""What CRLs list: revoked certificates, releases from hold, and revocations from before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.crls import FULL_CRL, shard_scope
from pikaserver.storage.certificate_statements import serial_text
from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import certificate, crl, former_revocation, hold_release

_PAGE = 1000

_revoked = (
    certificate.c.generation_id == bindparam("generation"),
    certificate.c.revoked_at.is_not(None),
)
_now = bindparam("now", type_=UtcDateTime)
_LAST_CRL = (
    select(sa.func.max(crl.c.this_update))
    .where(
        crl.c.generation_id == bindparam("generation"),
        crl.c.scope == bindparam("of_scope"),
        crl.c.state == "issued",
        crl.c.this_update <= _now,
    )
    .scalar_subquery()
)
_not_long_expired = certificate.c.not_after >= sa.func.coalesce(_LAST_CRL, sa.literal_column("0"))
_ENTRIES = (
    select(certificate.c.crl_entry)
    .where(*_revoked)
    .order_by(certificate.c.revoked_at, certificate.c.id)  # as the index has them
    .execution_options(yield_per=_PAGE)
)
_of_shard = certificate.c.crl_shard == bindparam("shard")
_since = sa.func.coalesce(certificate.c.revocation_number, 0) > bindparam("base")
_FORMER = (
    select(former_revocation.c.crl_entry)
    .where(former_revocation.c.generation_id == bindparam("generation"))
    .order_by(former_revocation.c.serial)
    .execution_options(yield_per=_PAGE)
)
_RELEASED = (
    select(hold_release.c.serial, hold_release.c.at)
    .join(certificate, certificate.c.id == hold_release.c.certificate_id)
    .where(
        hold_release.c.generation_id == bindparam("generation"),
        hold_release.c.revocation_number > bindparam("base"),
    )
    .order_by(hold_release.c.revocation_number)
)
_without_shards = certificate.c.crl_shard.is_(None)
_CHANGED_SHARD = sa.or_(
    sa.exists().where(*_revoked, _of_shard, _since),
    sa.exists().where(
        hold_release.c.generation_id == bindparam("generation"),
        hold_release.c.revocation_number > bindparam("base"),
        hold_release.c.certificate_id == certificate.c.id,
        _of_shard,
    ),
)


@dataclass(frozen=True, slots=True)
class FormerRevocation:
    """One revocation of a certificate that is not in the database; ``crl_entry`` is DER."""

    serial: int
    revoked_at: datetime
    reason: RevocationReason
    invalidity_at: datetime | None
    crl_entry: bytes


def all_entries(
    connection: Connection,
    generation_id: int,
    now: datetime,
    *,
    keep_expired: bool,
    without_shards: bool = False,
) -> Iterator[bytes]:
    """Yield the entries of a full CRL, first revoked first, a thousand rows at a time.

    RFC 5280 section 3.3: an entry stays until it was on one CRL issued after the certificate
    expired.  So what expired since the last CRL is on this one, too.  Of what was revoked
    before the authority came here no end is known: it stays.  What is on a part of a
    partition may be left out.
    """
    statement = _ENTRIES.where(_without_shards) if without_shards else _ENTRIES
    values: dict[str, object] = {"generation": generation_id}
    yield from _entries(connection, statement, values, now, FULL_CRL, keep_expired=keep_expired)
    with connection.execute(_FORMER, {"generation": generation_id}) as rows:
        yield from rows.scalars()


def shard_entries(
    connection: Connection, generation_id: int, shard: int, now: datetime, *, keep_expired: bool
) -> Iterator[bytes]:
    """Yield the entries of one part of a partitioned CRL."""
    values: dict[str, object] = {"generation": generation_id, "shard": shard}
    statement, scope = _ENTRIES.where(_of_shard), shard_scope(shard)
    yield from _entries(connection, statement, values, now, scope, keep_expired=keep_expired)


def _entries(
    connection: Connection,
    statement: Select[bytes],
    values: dict[str, object],
    now: datetime,
    scope: str,
    *,
    keep_expired: bool,
) -> Iterator[bytes]:
    if not keep_expired:
        statement = statement.where(_not_long_expired)
        values |= {"now": now, "of_scope": scope}
    with connection.execute(statement, values) as rows:
        yield from rows.scalars()


def entries_since(
    connection: Connection, generation_id: int, base: int, *, without_shards: bool = False
) -> Iterator[bytes]:
    """Yield the entries of what was revoked since a generation had seen ``base`` revocations."""
    statement = _ENTRIES.where(_since)
    if without_shards:
        statement = statement.where(_without_shards)
    with connection.execute(statement, {"generation": generation_id, "base": base}) as rows:
        yield from rows.scalars()


def released_since(
    connection: Connection, generation_id: int, base: int, *, without_shards: bool = False
) -> list[tuple[int, datetime]]:
    """Return serials and times of what was released from hold since then."""
    statement = _RELEASED.where(_without_shards) if without_shards else _RELEASED
    found = connection.execute(statement, {"generation": generation_id, "base": base})
    return [(int(row.serial, 16), row.at) for row in found]


def shard_changed(connection: Connection, generation_id: int, shard: int, base: int) -> bool:
    """Tell whether anything of a shard was revoked or released since then."""
    values = {"generation": generation_id, "shard": shard, "base": base}
    return bool(connection.scalar(select(_CHANGED_SHARD), values))


def note_release(connection: Connection, certificate_id: int, at: datetime, number: int) -> None:
    """Remember a release from hold; ``number`` as in ``certificates.revoke``."""
    forget_release(connection, certificate_id)
    columns = ("certificate_id", "generation_id", "serial", "at", "revocation_number")
    row = select(
        certificate.c.id,
        certificate.c.generation_id,
        certificate.c.serial,
        sa.literal(at, UtcDateTime),
        sa.literal(number),
    ).where(certificate.c.id == certificate_id)
    connection.execute(insert(hold_release).from_select(columns, row))


def forget_release(connection: Connection, certificate_id: int) -> None:
    """Forget a release: the certificate is held or revoked again."""
    connection.execute(delete(hold_release).where(hold_release.c.certificate_id == certificate_id))


def insert_former(
    connection: Connection, generation_id: int, found: Sequence[FormerRevocation]
) -> None:
    """Store what a former CRL listed; what is known already stays as it is."""
    known = set(
        connection.scalars(
            select(former_revocation.c.serial).where(
                former_revocation.c.generation_id == generation_id
            )
        )
    )
    rows = [
        {
            "generation_id": generation_id,
            "serial": serial_text(one.serial),
            "revoked_at": one.revoked_at,
            "reason": one.reason.value,
            "invalidity_at": one.invalidity_at,
            "crl_entry": one.crl_entry,
        }
        for one in found
        if serial_text(one.serial) not in known
    ]
    if rows:
        connection.execute(insert(former_revocation), rows)
