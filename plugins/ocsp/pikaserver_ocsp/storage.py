"""The table of answers that are signed already: the only place that knows its columns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    and_,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from pikaserver_ocsp.kept import AnswerKey, KeptAnswer

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When somebody asked last for an answer for which nobody did."""

metadata = MetaData()

answer = Table(
    "ocsp_answer",
    metadata,
    Column("generation_id", Integer, primary_key=True, autoincrement=False),
    Column("serial", String(40), primary_key=True),  # hex, as in the host's tables
    Column("form", Integer, primary_key=True, autoincrement=False),
    Column("unit", String(20), primary_key=True),
    Column("certificate_id", BigInteger, nullable=False),  # the responder's; 0: the authority
    Column("status", LargeBinary, nullable=False),
    Column("this_update", BigInteger, nullable=False),  # times are seconds since 1970
    Column("next_update", BigInteger, nullable=False),
    Column("signed", LargeBinary, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Index("ocsp_answer_due", "due_at"),
    sqlite_with_rowid=False,
)
_KEY = (answer.c.generation_id, answer.c.serial, answer.c.form, answer.c.unit)
_NEWER = ("certificate_id", "status", "this_update", "next_update", "signed", "due_at")
_WHICH = and_(*(column == bindparam(f"of_{column.name}") for column in _KEY))

_READ = select(
    *_KEY,
    answer.c.certificate_id,
    answer.c.status,
    answer.c.this_update,
    answer.c.next_update,
    answer.c.signed,
    answer.c.asked_at,
)
_ONE = _READ.where(_WHICH)
_DUE = _READ.where(answer.c.due_at <= bindparam("now")).order_by(answer.c.due_at)
_OF_SERIAL = _READ.where(
    answer.c.generation_id == bindparam("generation"), answer.c.serial == bindparam("of_serial")
)
_ASKED = update(answer).where(_WHICH).values(asked_at=bindparam("at"))
_POSTPONE = update(answer).where(_WHICH).values(due_at=bindparam("at"))
_HASTEN = (
    update(answer)
    .where(answer.c.generation_id == bindparam("generation"))
    .where(answer.c.serial == bindparam("of_serial"))
    .values(due_at=bindparam("at"))
)
_DELETE = delete(answer).where(_WHICH)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A row: an answer without what is known elsewhere, the responder's certificate."""

    key: AnswerKey
    certificate_id: int
    status: bytes
    this_update: datetime
    next_update: datetime
    signed: bytes
    asked_at: datetime


def read(connection: Connection, key: AnswerKey) -> StoredAnswer | None:
    """Return the newest answer of any node."""
    row = connection.execute(_ONE, _values(key)).mappings().first()
    return None if row is None else _stored(row)


def of_serial(connection: Connection, generation_id: int, serial: int) -> list[StoredAnswer]:
    """Return all answers about one certificate."""
    wanted = {"generation": generation_id, "of_serial": _text(serial)}
    return [_stored(row) for row in connection.execute(_OF_SERIAL, wanted).mappings()]


def due(connection: Connection, now: datetime, limit: int) -> list[StoredAnswer]:
    """Return answers whose time has come, the one that waits for longest first."""
    rows = connection.execute(_DUE.limit(limit), {"now": _seconds(now)}).mappings()
    return [_stored(row) for row in rows]


def hasten(connection: Connection, generation_id: int, serial: int, now: datetime) -> None:
    """Make all answers about one certificate due."""
    about = {"generation": generation_id, "of_serial": _text(serial)}
    connection.execute(_HASTEN, {**about, "at": _seconds(now)})


def there(connection: Connection, keys: Sequence[AnswerKey]) -> set[AnswerKey]:
    """Return which of these answers are stored; all are of one generation, form and unit."""
    if not keys:
        return set()
    generation_id, _, form, unit = keys[0]
    statement = select(answer.c.serial).where(
        answer.c.generation_id == generation_id,
        answer.c.form == form,
        answer.c.unit == unit,
        answer.c.serial.in_([_text(key.serial) for key in keys]),
    )
    serials = {int(text, 16) for text in connection.execute(statement).scalars()}
    return {key for key in keys if key.serial in serials}


def write(connection: Connection, answers: Iterable[KeptAnswer], asked_at: datetime) -> None:
    """Store answers; where another node stored a later one, that one stays."""
    rows = [_row(one, asked_at) for one in answers]
    if rows:
        connection.execute(_write_newer(connection.dialect.name), rows)


def _write_newer(dialect: str) -> Insert:
    if dialect == "sqlite":
        lite = sqlite.insert(answer)
        return lite.on_conflict_do_update(
            index_elements=_KEY,
            set_={name: lite.excluded[name] for name in _NEWER},
            where=answer.c.this_update <= lite.excluded.this_update,
        )
    full = postgresql.insert(answer)
    return full.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: full.excluded[name] for name in _NEWER},
        where=answer.c.this_update <= full.excluded.this_update,
    )


def note_asked(connection: Connection, keys: Iterable[AnswerKey], at: datetime) -> None:
    """Note for which answers somebody asked."""
    rows = [{**_values(key), "at": _seconds(at)} for key in keys]
    if rows:
        connection.execute(_ASKED, rows)


def postpone(connection: Connection, answers: Iterable[tuple[AnswerKey, datetime]]) -> None:
    """Look at answers again at a later time."""
    rows = [{**_values(key), "at": _seconds(at)} for key, at in answers]
    if rows:
        connection.execute(_POSTPONE, rows)


def remove(connection: Connection, keys: Iterable[AnswerKey]) -> None:
    """Forget answers."""
    rows = [_values(key) for key in keys]
    if rows:
        connection.execute(_DELETE, rows)


def _values(key: AnswerKey) -> dict[str, object]:
    return {
        "of_generation_id": key.generation_id,
        "of_serial": _text(key.serial),
        "of_form": key.form,
        "of_unit": key.unit,
    }


def _row(one: KeptAnswer, asked_at: datetime) -> dict[str, object]:
    return {
        "generation_id": one.key.generation_id,
        "serial": _text(one.key.serial),
        "form": one.key.form,
        "unit": one.key.unit,
        "certificate_id": one.signer,
        "status": one.status,
        "this_update": _seconds(one.this_update),
        "next_update": _seconds(one.next_update),
        "signed": one.signed,
        "due_at": _seconds(one.due_at),
        "asked_at": _seconds(asked_at),
    }


def _stored(row: RowMapping) -> StoredAnswer:
    return StoredAnswer(
        key=AnswerKey(row["generation_id"], int(row["serial"], 16), row["form"], row["unit"]),
        certificate_id=row["certificate_id"],
        status=row["status"],
        this_update=_moment(row["this_update"]),
        next_update=_moment(row["next_update"]),
        signed=row["signed"],
        asked_at=_moment(row["asked_at"]),
    )


def _text(serial: int) -> str:
    return f"{serial:040x}"


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
