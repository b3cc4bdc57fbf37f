"""The status of serial numbers for those who are asked for it all day (OCSP): little, quickly."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from pikaserver.api.certificates import Revocation, RevocationReason, SerialStatus
from pikaserver.api.prepared import Prepared
from pikaserver.storage.certificate_statements import serial_text
from pikaserver.storage.tables import certificate

# Two at once: who asks for one wants to know of its responder's own certificate, too.
_STATUS = Prepared(
    select(
        certificate.c.serial,
        certificate.c.state,
        certificate.c.not_after,
        certificate.c.revoked_at,
        certificate.c.revocation_reason,
        certificate.c.invalidity_at,
    ).where(
        certificate.c.serial.in_([bindparam("one"), bindparam("other")]),
        certificate.c.generation_id == bindparam("generation"),
    )
)


def serial_status(
    connection: Connection, generation_id: int, serials: Iterable[int]
) -> dict[int, SerialStatus]:
    """Return what is known of these serials of a generation; one never taken is left out."""
    texts = [serial_text(serial) for serial in serials]
    found: dict[int, SerialStatus] = {}
    for at in range(0, len(texts), 2):
        pair = texts[at : at + 2]
        wanted = {"one": pair[0], "other": pair[-1], "generation": generation_id}
        for serial, *row in _STATUS.rows(connection, wanted):
            found[int(serial, 16)] = _status(*row)
    return found


def _status(
    state: str,
    not_after: datetime,
    revoked_at: datetime | None,
    reason: int | None,
    invalidity_at: datetime | None,
) -> SerialStatus:
    revocation = None
    if revoked_at is not None:
        revocation = Revocation(revoked_at, RevocationReason(reason), invalidity_at)
    return SerialStatus(state == "issued", not_after, revocation)
