"""The SQL over certificates, built once so that its compiled form is found again."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    insert,
    or_,
    select,
    update,
)

from pikaserver.api.certificates import CertificateQuery, CertificateStatus, RevocationReason
from pikaserver.api.prepared import Prepared
from pikaserver.storage.columns import UtcDateTime
from pikaserver.storage.tables import (
    authority,
    authority_generation,
    certificate,
    certificate_name,
    template,
)

_KINDS = ("dns:", "ip:", "email:", "uri:", "upn:", "dirname:", "rid:", "other:")
_HOLD = RevocationReason.CERTIFICATE_HOLD.value
_now = bindparam("now", type_=UtcDateTime)
# Written as in the partial index: a bound value would hide from SQLite that it may be used.
_unsigned = certificate.c.state != sa.literal_column("'issued'")
_open = or_(certificate.c.state == "intent", certificate.c.state == "awaiting")
_signed = certificate.c.state == "issued"
_unrevoked = certificate.c.revoked_at.is_(None)
_revoked = certificate.c.revoked_at.is_not(None)

INSERT = Prepared(insert(certificate).returning(certificate.c.id))
INSERT_NAMES = Prepared(insert(certificate_name).inline())
COMPLETE = Prepared(
    update(certificate)
    .where(certificate.c.id == bindparam("of_id"), _open)
    .values(state="issued", certificate=bindparam("der"), fingerprint=bindparam("digest"), tbs=None)
)
# Nothing came of its transaction, so the requester may try again under the same name.
ABANDON = (
    update(certificate)
    .where(certificate.c.id == bindparam("of_id"), _open)
    .values(state="abandoned", tbs=None, transaction=None)
)
AWAIT = (
    update(certificate)
    .where(certificate.c.id == bindparam("of_id"), _open)
    .values(state="awaiting")
)
_INTENT = (
    select(
        certificate.c.id,
        certificate.c.generation_id,
        certificate.c.serial,
        certificate.c.tbs,
        certificate.c.door,
        certificate.c.requester,
        certificate.c.issued_at,
    )
    .where(_unsigned)
    .order_by(certificate.c.id)
)
INTENTS = _INTENT.where(certificate.c.state == "intent")
AWAITING = _INTENT.where(
    certificate.c.state == "awaiting",
    certificate.c.generation_id == bindparam("generation"),
    certificate.c.key_hash == bindparam("of_key"),
    certificate.c.door == bindparam("of_door"),
)
SIGNED_OCTETS = (
    select(
        certificate.c.serial, certificate.c.tbs_hash, certificate.c.state, certificate.c.issued_at
    )
    .where(certificate.c.generation_id == bindparam("generation"))
    .order_by(certificate.c.id)
    .execution_options(yield_per=1000)
)

_REVOCATION: dict[str, ColumnElement[object]] = {
    "revoked_at": bindparam("at"),
    "revocation_reason": bindparam("reason"),
    "invalidity_at": bindparam("invalidity"),
    "crl_entry": bindparam("entry"),
    "revocation_number": bindparam("count"),
}
HOLD = (
    update(certificate)
    .where(certificate.c.id == bindparam("of_id"), _unrevoked)
    .values(_REVOCATION)
)
REVOKE = (  # what is on hold may be revoked for good
    update(certificate)
    .where(
        certificate.c.id == bindparam("of_id"),
        or_(_unrevoked, certificate.c.revocation_reason == _HOLD),
    )
    .values(_REVOCATION)
)
RELEASE = (
    update(certificate)
    .where(certificate.c.id == bindparam("of_id"), certificate.c.revocation_reason == _HOLD)
    .values(
        revoked_at=None,
        revocation_reason=None,
        invalidity_at=None,
        crl_entry=None,
        revocation_number=None,
    )
)
_CASES = {  # one is true of each certificate
    CertificateStatus.REVOKED: and_(_revoked, certificate.c.revocation_reason != _HOLD),
    CertificateStatus.ON_HOLD: and_(_revoked, certificate.c.revocation_reason == _HOLD),
    CertificateStatus.PENDING: and_(_unrevoked, _unsigned),
    CertificateStatus.EXPIRED: and_(_unrevoked, _signed, certificate.c.not_after < _now),
    CertificateStatus.VALID: and_(_unrevoked, _signed, certificate.c.not_after >= _now),
}
RECORD = (
    select(
        certificate.c.id,
        authority.c.name.label("authority"),
        authority_generation.c.number.label("generation"),
        certificate.c.serial,
        case(*((condition, status.value) for status, condition in _CASES.items())).label("status"),
        certificate.c.certificate,
        certificate.c.fingerprint,
        certificate.c.subject,
        certificate.c.not_before,
        certificate.c.not_after,
        template.c.name.label("template"),
        certificate.c.template_version,
        certificate.c.door,
        certificate.c.requester,
        certificate.c.issued_at,
        certificate.c.revoked_at,
        certificate.c.revocation_reason,
        certificate.c.invalidity_at,
    )
    .join_from(
        certificate,
        authority_generation,
        authority_generation.c.id == certificate.c.generation_id,
    )
    .join(authority, authority.c.id == authority_generation.c.authority_id)
    .outerjoin(template, template.c.id == certificate.c.template_id)
)
BY_ID = Prepared(RECORD.where(certificate.c.id == bindparam("of_id")))
BY_TRANSACTION = Prepared(
    RECORD.where(
        certificate.c.door == bindparam("of_door"),
        certificate.c.transaction == bindparam("of_transaction"),
    )
)
BY_FINGERPRINT = Prepared(RECORD.where(certificate.c.fingerprint == bindparam("of_fingerprint")))
NAMES = (
    select(certificate_name.c.certificate_id, certificate_name.c.name)
    .where(certificate_name.c.certificate_id.in_(bindparam("ids", expanding=True)))
    .order_by(certificate_name.c.certificate_id, certificate_name.c.position)
)
NAMES_OF_ONE = Prepared(
    select(certificate_name.c.name)
    .where(certificate_name.c.certificate_id == bindparam("of_id"))
    .order_by(certificate_name.c.position)
)


def serial_text(serial: int) -> str:
    """Return a serial as it is stored: lower-case hex of whole octets."""
    text = f"{serial:x}"
    return text if len(text) % 2 == 0 else "0" + text


def search(query: CertificateQuery) -> Select[*tuple[object, ...]]:
    """Return the statement of a search, newest first; it needs the value ``now``."""
    statement = RECORD.where(*_inexact(query)).order_by(certificate.c.id.desc())
    exact = (
        (query.authority, authority.c.name.__eq__),
        (query.template, template.c.name.__eq__),
        (query.fingerprint and query.fingerprint.lower(), certificate.c.fingerprint.__eq__),
        (query.key_hash and query.key_hash.lower(), certificate.c.key_hash.__eq__),
        (query.device, certificate.c.device_id.__eq__),
        (query.related and query.related.lower(), certificate.c.related.__eq__),
        (query.after, certificate.c.id.__lt__),
    )
    for value, condition in exact:
        if value is not None:
            statement = statement.where(condition(value))
    if query.serial is not None:
        return statement.where(certificate.c.serial == serial_text(query.serial))
    return statement.where(or_(certificate.c.state != "abandoned", _revoked))


def _inexact(query: CertificateQuery) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that many certificates may meet.

    Rows are large.  Where the newest certificates may all fail to match, an index alone is
    searched first, or the search would read the whole table.
    """
    if query.status is not None:
        yield _CASES[query.status]
    if bounds := list(_bounds(query)):
        yield _among(and_(*bounds))
    if query.subject is not None:
        folded = query.subject.casefold()
        yield _among(certificate.c.subject_folded.contains(folded, autoescape=True))
    if query.name is not None:
        yield certificate.c.id.in_(_named(query.name.casefold()))


def _bounds(query: CertificateQuery) -> Iterator[ColumnElement[bool]]:
    """Yield between which times the certificates end; nearly all end after now."""
    if query.expires_after is not None:
        yield certificate.c.not_after >= query.expires_after
    if query.expires_before is not None:
        yield certificate.c.not_after < query.expires_before
        if query.status is CertificateStatus.VALID:
            yield certificate.c.not_after >= _now
    if query.status is CertificateStatus.EXPIRED:
        yield certificate.c.not_after < _now


def _among(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return certificate.c.id.in_(select(certificate.c.id).where(condition))


def _named(folded: str) -> Select[int]:
    wanted = [folded] if folded.startswith(_KINDS) else [kind + folded for kind in _KINDS]
    return select(certificate_name.c.certificate_id).where(certificate_name.c.name.in_(wanted))
