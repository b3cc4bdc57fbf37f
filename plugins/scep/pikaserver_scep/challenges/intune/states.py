"""How far each request is that Intune has to be told of, in the database.

::

    unreached --> validated --> issuing --> success --> told
        |             |            |                     ^
        +-------------+------------+------> failure -----+
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import NotAuthenticated
from pikaserver.api.operations import Clock
from pikaserver.api.server import Server
from pikaserver_scep.challenges.method import ChallengeQuestion
from pikaserver_scep.challenges.tables import intune_request

UNREACHED, VALIDATED, ISSUING = "unreached", "validated", "issuing"
SUCCESS, FAILURE, TOLD = "success", "failure", "told"
_OPEN = (UNREACHED, VALIDATED, ISSUING)

RECONCILE = timedelta(minutes=5)
"""After this time the job looks by itself how a request ended."""
_KEPT = timedelta(days=30)
_PURPOSE = "scep-intune-csr"
_MOST_AT_ONCE = 100

_COLUMNS = (
    intune_request.c.id,
    intune_request.c.connector,
    intune_request.c.template,
    intune_request.c.transaction_id,
    intune_request.c.csr,
    intune_request.c.state,
    intune_request.c.request_id,
    intune_request.c.certificate_id,
    intune_request.c.error,
    intune_request.c.attempts,
    intune_request.c.created_at,
)


@dataclass(frozen=True, slots=True)
class IntuneRequest:
    """One request; ``csr`` is DER and holds the challenge."""

    id: int
    connector: str
    template: str
    transaction: str
    csr: bytes = field(repr=False)
    state: str
    request_id: int | None
    certificate_id: int | None
    error: str | None
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ValidatedOnce:
    """What Intune validated buys one certificate; implements ``OneTimeProof``."""

    id: int
    clock: Clock

    def spend(self, connection: Connection) -> None:
        """See ``pikaserver.api.issuance.OneTimeProof``."""
        if not _move(
            connection, self.id, (VALIDATED,), state=ISSUING, due_at=self.clock() + RECONCILE
        ):
            raise NotAuthenticated("this Intune challenge was used already")

    def restore(self, connection: Connection) -> None:
        """See the protocol."""
        _move(connection, self.id, (ISSUING,), state=VALIDATED)


class IntuneRequests:
    """Reads and writes them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def find(self, question: ChallengeQuestion) -> IntuneRequest | None:
        """Return what is known of the very same request."""
        with self._server.database.reading() as connection:
            row = connection.execute(select(*_COLUMNS).where(*_same(question))).one_or_none()
        return None if row is None else self._read(row)

    def note(self, connector: str, question: ChallengeQuestion, state: str) -> IntuneRequest:
        """Note that the service could not be asked, or has validated it."""
        now = self._server.clock()
        new = {
            "connector": connector,
            "template": question.template.name,
            "transaction_id": question.transaction,
            "csr_hash": _digest(question),
            "csr": self._server.secrets.seal(_PURPOSE, question.csr.der),
            "state": state,
            "attempts": 0,
            "due_at": now + RECONCILE,
            "created_at": now,
        }
        with self._server.database.transaction() as connection:
            try:
                with connection.begin_nested():
                    connection.execute(insert(intune_request), new)
            except IntegrityError:  # it is known: asked again
                known = update(intune_request).where(
                    *_same(question), intune_request.c.state == UNREACHED
                )
                connection.execute(known.values(state=state))
            row = connection.execute(select(*_COLUMNS).where(*_same(question))).one()
        return self._read(row)

    def forget(self, known: IntuneRequest) -> None:
        """Drop what Intune refused: there is nobody to be told."""
        with self._server.database.transaction() as connection:
            connection.execute(delete(intune_request).where(intune_request.c.id == known.id))

    def succeed(self, known: IntuneRequest, certificate_id: int) -> None:
        """Note that the certificate is there."""
        self._end(known, state=SUCCESS, certificate_id=certificate_id)

    def fail(self, known: IntuneRequest, why: str) -> None:
        """Note that there will be none."""
        self._end(known, state=FAILURE, error=why)

    def wait(self, known: IntuneRequest, request_id: int | None, until: datetime) -> None:
        """Note who decides, and when to look again."""
        with self._server.database.transaction() as connection:
            _move(connection, known.id, _OPEN, request_id=request_id, due_at=until)

    def due(self, connector: str) -> Sequence[IntuneRequest]:
        """Return what is to be looked at now; what was told long ago goes."""
        now = self._server.clock()
        found = (
            select(*_COLUMNS)
            .where(
                intune_request.c.connector == connector,
                intune_request.c.state != TOLD,
                intune_request.c.due_at <= now,
            )
            .order_by(intune_request.c.due_at)
            .limit(_MOST_AT_ONCE)
        )
        old = (intune_request.c.state == TOLD, intune_request.c.due_at < now - _KEPT)
        with self._server.database.reading() as connection:
            rows = connection.execute(found).all()
            over = connection.scalar(select(intune_request.c.id).where(*old).limit(1))
        if over is not None:
            with self._server.database.transaction() as connection:
                connection.execute(delete(intune_request).where(*old))
        return [self._read(row) for row in rows]

    def told(self, known: IntuneRequest, error: str | None = None) -> None:
        """Note that Intune knows, or will not hear of it."""
        with self._server.database.transaction() as connection:
            now = self._server.clock()
            _move(connection, known.id, (SUCCESS, FAILURE), state=TOLD, due_at=now, error=error)

    def try_again(self, known: IntuneRequest, at: datetime, error: str) -> None:
        """Note that Intune could not be told yet."""
        with self._server.database.transaction() as connection:
            _move(
                connection,
                known.id,
                (SUCCESS, FAILURE),
                attempts=known.attempts + 1,
                due_at=at,
                # Why there is no certificate is what Intune has still to hear.
                error=known.error if known.state == FAILURE else error,
            )

    def _end(self, known: IntuneRequest, **values: object) -> None:
        with self._server.database.transaction() as connection:
            _move(connection, known.id, _OPEN, due_at=self._server.clock(), **values)

    def _read(self, row: Row[*tuple[object, ...]]) -> IntuneRequest:
        return IntuneRequest(
            id=row.id,
            connector=row.connector,
            template=row.template,
            transaction=row.transaction_id,
            csr=self._server.secrets.open(_PURPOSE, row.csr),
            state=row.state,
            request_id=row.request_id,
            certificate_id=row.certificate_id,
            error=row.error,
            attempts=row.attempts,
            created_at=row.created_at,
        )


def _move(connection: Connection, known: int, states: Sequence[str], **values: object) -> bool:
    moved = update(intune_request).where(
        intune_request.c.id == known, intune_request.c.state.in_(states)
    )
    return connection.execute(moved.values(**values)).rowcount == 1


def _digest(question: ChallengeQuestion) -> bytes:
    return hashlib.sha256(question.csr.der).digest()


def _same(question: ChallengeQuestion) -> tuple[ColumnElement[bool], ...]:
    return (
        intune_request.c.template == question.template.name,
        intune_request.c.transaction_id == question.transaction,
        intune_request.c.csr_hash == _digest(question),
    )
