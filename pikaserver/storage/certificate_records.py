"""From rows to `CertificateRecord`, and from a query to the statement that finds them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select

from pikaserver.api.certificates import (
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.prepared import Prepared
from pikaserver.storage import certificate_statements as sql


class _Row(NamedTuple):
    """One row of `certificate_statements.RECORD`, in the order of its columns."""

    id: int
    authority: str
    generation: int
    serial: str
    status: str
    certificate: bytes | None
    fingerprint: str | None
    subject: str
    not_before: datetime
    not_after: datetime
    template: str | None
    template_version: int
    door: str
    requester: str
    issued_at: datetime
    revoked_at: datetime | None
    revocation_reason: int | None
    invalidity_at: datetime | None


def records(
    connection: Connection, statement: Select[*tuple[Any, ...]], now: datetime
) -> list[CertificateRecord]:
    """Run a search; the names of all its certificates come by one more statement."""
    rows = [_Row(*row) for row in connection.execute(statement, {"now": _second(now)})]
    names: dict[int, list[str]] = {row.id: [] for row in rows}
    if rows:
        for certificate_id, name in connection.execute(sql.NAMES, {"ids": list(names)}):
            names[certificate_id].append(name)
    return [_record(row, names[row.id]) for row in rows]


def one_record(
    connection: Connection, statement: Prepared, values: Mapping[str, object], now: datetime
) -> CertificateRecord | None:
    """Return the one certificate that a statement finds, if any."""
    found = statement.row(connection, {**values, "now": _second(now)})
    if found is None:
        return None
    row = _Row(*found)
    names = sql.NAMES_OF_ONE.rows(connection, {"of_id": row.id})
    return _record(row, [name for (name,) in names])


def _second(now: datetime) -> datetime:
    """Return the second: notAfter is inclusive and has no parts of it (RFC 5280, 4.1.2.5)."""
    return now.replace(microsecond=0)


def _record(row: _Row, names: Sequence[str]) -> CertificateRecord:
    return CertificateRecord(
        id=row.id,
        authority=row.authority,
        generation=row.generation,
        serial=int(row.serial, 16),
        status=CertificateStatus(row.status),
        certificate=row.certificate,
        fingerprint=row.fingerprint,
        subject=row.subject,
        names=tuple(names),
        not_before=row.not_before,
        not_after=row.not_after,
        template=row.template,
        template_version=row.template_version,
        door=row.door,
        requester=row.requester,
        issued_at=row.issued_at,
        revocation=_revocation(row),
    )


def _revocation(row: _Row) -> Revocation | None:
    if row.revoked_at is None:
        return None
    reason = RevocationReason(row.revocation_reason)
    return Revocation(row.revoked_at, reason, row.invalidity_at)
