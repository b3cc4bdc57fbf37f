"""Static passphrases: one secret for all devices of a template, kept as a hash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, Select, insert, select, update

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.api.issuance import Requester
from pikaserver.api.server import Server
from pikaserver_scep.challenges.method import (
    METHOD,
    Accepted,
    ChallengeQuestion,
    NotMine,
    Verdict,
)
from pikaserver_scep.challenges.secrets import HashedSecret, hashed, new_secret
from pikaserver_scep.challenges.tables import passphrase

MOST = 5
"""So many count for one template at a time: each costs a guess its hash."""


@dataclass(frozen=True, slots=True)
class NewPassphrase:
    """A passphrase in clear: shown once."""

    id: int
    passphrase: str = field(repr=False)
    template: str


class Passphrases:
    """Makes, lists and withdraws them; two may count while devices change over."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, template: str, actor: str, chosen: str | None = None) -> NewPassphrase:
        """Make one, or take one that devices have already.

        Raises:
            NotFound: no such template.
            Conflict: so many count already.
            RequestRejected: the chosen one is too short or too long.
        """
        self._server.templates.get(template)
        secret = chosen or new_secret(self._server.entropy)
        kept = hashed(secret, self._server.entropy, chosen=chosen is not None)
        new = {
            "template": template,
            "salt": kept.salt,
            "hash": kept.hash,
            "slow": kept.slow,
            "created_at": self._server.clock(),
            "created_by": actor,
        }
        with self._server.database.transaction() as connection:
            if len(connection.execute(_of(template)).all()) >= MOST:
                raise Conflict(f"{MOST} passphrases count for {template!r}: withdraw one first")
            made = connection.execute(insert(passphrase).returning(passphrase.c.id), new)
            passphrase_id: int = made.scalar_one()
            self._server.audit.record(
                connection,
                "scep.passphrase-created",
                actor,
                passphrase=passphrase_id,
                template=template,
            )
        return NewPassphrase(passphrase_id, secret, template)

    def list(self) -> Sequence[Row[int, str, datetime, str]]:
        """Return those that count, newest first."""
        found = (
            select(
                passphrase.c.id,
                passphrase.c.template,
                passphrase.c.created_at,
                passphrase.c.created_by,
            )
            .where(passphrase.c.withdrawn_at.is_(None))
            .order_by(passphrase.c.id.desc())
        )
        with self._server.database.reading() as connection:
            return connection.execute(found).all()

    def withdraw(self, passphrase_id: int, actor: str) -> None:
        """Make one worthless.

        Raises:
            NotFound: there is none that counts.
        """
        with self._server.database.transaction() as connection:
            over = connection.execute(
                update(passphrase)
                .where(passphrase.c.id == passphrase_id, passphrase.c.withdrawn_at.is_(None))
                .values(withdrawn_at=self._server.clock())
            )
            if over.rowcount != 1:
                raise NotFound(f"there is no passphrase {passphrase_id} that counts")
            self._server.audit.record(
                connection, "scep.passphrase-withdrawn", actor, passphrase=passphrase_id
            )


class Static:
    """The method."""

    name = "static"

    def __init__(self, server: Server) -> None:
        self._server = server

    def check(self, question: ChallengeQuestion) -> Verdict:
        """See ``pikaserver_scep.challenges.method.ChallengeMethod``."""
        password = question.csr.challenge_password
        if password is None:
            return NotMine()
        template = question.template.name
        with self._server.database.reading() as connection:
            rows = connection.execute(_of(template)).all()
        for row in rows:
            if HashedSecret(row.salt, row.hash, row.slow).fits(password):
                name = f"{METHOD}:static-{row.id}"
                requester = Requester(
                    name, METHOD, question.address, templates=frozenset({template})
                )
                return Accepted(requester, self.name)
        return NotMine()


def _of(template: str) -> Select[tuple[int, bytes, bytes, bool]]:
    return select(passphrase.c.id, passphrase.c.salt, passphrase.c.hash, passphrase.c.slow).where(
        passphrase.c.template == template, passphrase.c.withdrawn_at.is_(None)
    )
