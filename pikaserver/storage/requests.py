"""Requests that wait, or waited, for a person's decision."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update

from pikaserver.api.errors import Conflict, Decision, NotFound
from pikaserver.api.issuance import RequestRecord, RequestState
from pikaserver.api.prepared import Prepared
from pikaserver.storage import devices
from pikaserver.storage.devices import Contact
from pikaserver.storage.pair_table import pair
from pikaserver.storage.tables import request, template


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request to be stored; hashes are SHA-256 in hex, ``csr`` is DER."""

    template_id: int
    template_version: int
    door: str
    requester: str
    method: str
    csr: bytes
    csr_hash: str
    key_hash: str
    subject: str
    names: tuple[str, ...]
    renews_id: int | None
    validity: timedelta | None
    transaction: str | None
    trace: tuple[Decision, ...]
    created_at: datetime
    device: Contact | None = None


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """What only the authority needs of a request, to go on with it after the approval."""

    method: str
    key_hash: str
    renews_id: int | None
    validity: timedelta | None
    transaction: str | None
    trace: tuple[Decision, ...]
    second_template: str | None = None
    """Where a pair was asked for, the template of its second certificate."""


_INSERT = sa.insert(request).returning(request.c.id)
_RECORD = (
    select(
        request.c.id,
        request.c.state,
        template.c.name.label("template"),
        request.c.template_version,
        request.c.door,
        request.c.requester,
        request.c.csr,
        request.c.subject,
        request.c.names,
        request.c.created_at,
        request.c.decided_by,
        request.c.comment,
        request.c.certificate_id,
        pair.c.csr.label("second_csr"),
    )
    .join_from(request, template, template.c.id == request.c.template_id)
    .outerjoin(pair, pair.c.request_id == request.c.id)
)
_BY_ID = _RECORD.where(request.c.id == bindparam("of_id"))
_BY_CSR = Prepared(
    select(request.c.id)
    .join_from(request, template, template.c.id == request.c.template_id)
    .where(
        request.c.csr_hash == bindparam("of_csr"),
        request.c.requester == bindparam("of_requester"),
        template.c.name == bindparam("of_template"),
        # A certificate may also have vouched without being renewed.
        or_(request.c.renews_id.is_(None), request.c.renews_id == bindparam("of_renewed")),
    )
    .order_by(request.c.id.desc())
    .limit(1)
)
_SECOND = template.alias("second")
_DETAILS = (
    select(
        request.c.method,
        request.c.key_hash,
        request.c.renews_id,
        request.c.validity_seconds,
        request.c.transaction,
        request.c.trace,
        _SECOND.c.name.label("second_template"),
    )
    .select_from(
        request.outerjoin(pair, pair.c.request_id == request.c.id).outerjoin(
            _SECOND, _SECOND.c.id == pair.c.template_id
        )
    )
    .where(request.c.id == bindparam("of_id"))
)
_DECIDE = (
    update(request)
    .where(request.c.id == bindparam("of_id"), request.c.state == RequestState.PENDING)
    .values(
        state=bindparam("new_state"),
        decided_at=bindparam("at"),
        decided_by=bindparam("by"),
        comment=bindparam("why"),
    )
)
_CLAIM = (
    update(request)
    .where(request.c.id == bindparam("of_id"), request.c.state == RequestState.APPROVED)
    .values(state=RequestState.ISSUED)
)
_unfinished = and_(request.c.state == RequestState.ISSUED, request.c.certificate_id.is_(None))
_UNCLAIM_ALL = update(request).where(_unfinished).values(state=RequestState.APPROVED)
_UNCLAIM = _UNCLAIM_ALL.where(request.c.id == bindparam("of_id"))
_ATTACH = (
    update(request)
    .where(request.c.id == bindparam("of_id"), _unfinished)
    .values(certificate_id=bindparam("of_certificate"))
)
_DECLINE_OF_DEVICE = (
    update(request)
    .where(
        request.c.device_id == bindparam("of_device"),
        request.c.state.in_([RequestState.PENDING, RequestState.APPROVED]),
    )
    .values(
        state=RequestState.DECLINED,
        decided_at=bindparam("at"),
        decided_by=bindparam("by"),
        comment="the device was retired",
    )
)
_OVERRIDE = (
    update(request)
    .where(request.c.id == bindparam("of_id"))
    .values(validity_seconds=bindparam("new_validity"))
)


def insert(connection: Connection, new: NewRequest) -> int:
    """Store a request as pending and return its id.

    Raises:
        RequestRejected: the device that asks was retired.
    """
    values = asdict(new) | {
        "device_id": new.device and devices.note(connection, new.device, new.door, new.created_at),
        "state": RequestState.PENDING,
        "names": json.dumps(new.names),
        "trace": json.dumps([asdict(decision) for decision in new.trace]),
        "validity_seconds": new.validity and int(new.validity.total_seconds()),
    }
    del values["validity"], values["device"]
    request_id: int = connection.execute(_INSERT, values).scalar_one()
    return request_id


def get(connection: Connection, request_id: int) -> RequestRecord:
    """Return one request.

    Raises:
        NotFound: no such request.
    """
    row = connection.execute(_BY_ID, {"of_id": request_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no request {request_id}")
    return _record(row)


def details(connection: Connection, request_id: int) -> RequestDetails:
    """Return the rest of a request.

    Raises:
        NotFound: no such request.
    """
    row = connection.execute(_DETAILS, {"of_id": request_id}).one_or_none()
    if row is None:
        raise NotFound(f"there is no request {request_id}")
    seconds = row.validity_seconds
    return RequestDetails(
        method=row.method,
        key_hash=row.key_hash,
        renews_id=row.renews_id,
        validity=None if seconds is None else timedelta(seconds=seconds),
        transaction=row.transaction,
        trace=tuple(Decision(**decision) for decision in json.loads(row.trace)),
        second_template=row.second_template,
    )


def find(
    connection: Connection, csr_hash: str, *, requester: str, template: str, renews_id: int | None
) -> RequestRecord | None:
    """Return the newest request for the same that this requester made with the same CSR, if any."""
    wanted = {
        "of_csr": csr_hash,
        "of_requester": requester,
        "of_template": template,
        "of_renewed": renews_id,
    }
    request_id = _BY_CSR.number(connection, wanted)
    return get(connection, request_id) if request_id else None


def list(  # noqa: A001 - read as requests.list
    connection: Connection,
    state: RequestState | None = None,
    *,
    after: int | None = None,
    limit: int = 100,
) -> Sequence[RequestRecord]:
    """Return one page, newest first; the next page starts ``after`` the last id."""
    statement = _RECORD.order_by(request.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(request.c.state == state)
    if after is not None:
        statement = statement.where(request.c.id < after)
    return [_record(row) for row in connection.execute(statement)]


def decide(
    connection: Connection,
    request_id: int,
    state: RequestState,
    *,
    by: str,
    at: datetime,
    comment: str | None = None,
) -> bool:
    """Approve or decline a pending request; ``False`` if it is not pending any more."""
    values = {"of_id": request_id, "new_state": state, "by": by, "at": at, "why": comment}
    return connection.execute(_DECIDE, values).rowcount == 1


def decline_of_device(connection: Connection, device_id: int, by: str, at: datetime) -> None:
    """Decline all that a device asked and did not get yet."""
    connection.execute(_DECLINE_OF_DEVICE, {"of_device": device_id, "by": by, "at": at})


def claim(connection: Connection, request_id: int) -> bool:
    """Use an approval for the one certificate that it is good for; ``False`` if it is used."""
    return connection.execute(_CLAIM, {"of_id": request_id}).rowcount == 1


def unclaim(connection: Connection, request_id: int) -> None:
    """Give an approval back: its certificate could not be signed."""
    connection.execute(_UNCLAIM, {"of_id": request_id})


def unclaim_unfinished(connection: Connection) -> None:
    """Give back every approval whose certificate never came."""
    connection.execute(_UNCLAIM_ALL)


def override_validity(connection: Connection, request_id: int, validity: timedelta) -> None:
    """Let the certificate live as long as the approver says."""
    values = {"of_id": request_id, "new_validity": int(validity.total_seconds())}
    connection.execute(_OVERRIDE, values)


def attach_certificate(connection: Connection, request_id: int, certificate_id: int) -> None:
    """Note which certificate an approval was used for.

    Raises:
        Conflict: the approval was not claimed, or it has its certificate.
    """
    values = {"of_id": request_id, "of_certificate": certificate_id}
    if connection.execute(_ATTACH, values).rowcount != 1:
        raise Conflict(f"request {request_id} does not wait for a certificate")


def _record(row: Row[*tuple[object, ...]]) -> RequestRecord:
    return RequestRecord(
        id=row.id,
        state=RequestState(row.state),
        template=row.template,
        template_version=row.template_version,
        door=row.door,
        requester=row.requester,
        csr=row.csr,
        subject=row.subject,
        names=tuple(json.loads(row.names)),
        created_at=row.created_at,
        decided_by=row.decided_by,
        comment=row.comment,
        certificate_id=row.certificate_id,
        second_csr=row.second_csr,
    )
