"""One-time challenges: made by an operator, a program, the NDES page or a profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pikaserver.api.errors import NotAuthenticated, NotFound, RequestRejected
from pikaserver.api.issuance import Requester
from pikaserver.api.operations import Clock
from pikaserver.api.server import Server
from pikaserver_scep.challenges.binding import Binding, kept_binding, read_binding
from pikaserver_scep.challenges.method import (
    METHOD,
    Accepted,
    ChallengeQuestion,
    NotMine,
    Refused,
    Verdict,
)
from pikaserver_scep.challenges.secrets import digest, new_secret
from pikaserver_scep.challenges.tables import challenge

LIFETIME = timedelta(hours=24)
LONGEST = timedelta(days=366)
MOST_USES = 1_000_000
_KEPT = timedelta(days=30)
"""How long one that is over stays on record."""


@dataclass(frozen=True, slots=True)
class NewChallenge:
    """A challenge in clear: shown once, kept as a hash only."""

    id: int
    challenge: str = field(repr=False)
    template: str
    expires_at: datetime
    bound: Binding


@dataclass(frozen=True, slots=True)
class KnownChallenge:
    """A challenge without its secret."""

    id: int
    template: str
    method: str
    bound: Binding
    uses_left: int
    expires_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants a challenge for; ``secret`` where the caller's form is another one."""

    template: str
    method: str = "one-time"
    common_name: str | None = None
    subject: str | None = None
    names: tuple[str, ...] = ()
    uses: int = 1
    lifetime: timedelta = LIFETIME
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ChallengeUse:
    """Implements ``pikaserver.api.issuance.OneTimeProof``."""

    challenge_id: int
    clock: Clock

    def spend(self, connection: Connection) -> None:
        """See the protocol."""
        spent = connection.execute(
            update(challenge)
            .where(
                challenge.c.id == self.challenge_id,
                challenge.c.uses_left > 0,
                challenge.c.expires_at > self.clock(),
            )
            .values(uses_left=challenge.c.uses_left - 1)
        )
        if spent.rowcount != 1:
            raise NotAuthenticated("this challenge is used up, expired or withdrawn")

    def restore(self, connection: Connection) -> None:
        """See the protocol."""
        given_back = update(challenge).where(challenge.c.id == self.challenge_id)
        connection.execute(given_back.values(uses_left=challenge.c.uses_left + 1))


class OneTimeChallenges:
    """Makes, lists and withdraws them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, wish: Wish, actor: str) -> NewChallenge:
        """Make one; its clear text is seen this one time.

        Raises:
            NotFound: no such template.
            RequestRejected: uses, lifetime or name are absurd.
        """
        self._server.templates.get(wish.template)
        if not 1 <= wish.uses <= MOST_USES or not timedelta(0) < wish.lifetime <= LONGEST:
            raise RequestRejected(
                f"a challenge needs 1 to {MOST_USES} uses and a lifetime up to {LONGEST.days} days"
            )
        bound = read_binding(wish.common_name, wish.subject, wish.names)
        now = self._server.clock()
        secret = wish.secret or new_secret(self._server.entropy)
        new = {
            "challenge_hash": digest(secret),
            "template": wish.template,
            "method": wish.method,
            "common_name": bound.common_name,
            "subject": bound.subject_text,
            "names": bound.names_json,
            "uses_left": wish.uses,
            "expires_at": now + wish.lifetime,
            "created_at": now,
            "created_by": actor,
        }
        with self._server.database.transaction() as connection:
            connection.execute(delete(challenge).where(challenge.c.expires_at < now - _KEPT))
            made = connection.execute(insert(challenge).returning(challenge.c.id), new)
            challenge_id: int = made.scalar_one()
            self._server.audit.record(
                connection,
                "scep.challenge-created",
                actor,
                challenge=challenge_id,
                template=wish.template,
                method=wish.method,
                uses=wish.uses,
                common_name=bound.common_name,
                subject=bound.subject_text,
                names=bound.names_json,
            )
        return NewChallenge(challenge_id, secret, wish.template, now + wish.lifetime, bound)

    def open(self, template: str, method: str) -> int:
        """Return how many of a template can still be used."""
        with self._server.database.reading() as connection:
            count = select(func.count()).where(
                challenge.c.template == template,
                challenge.c.method == method,
                challenge.c.uses_left > 0,
                challenge.c.expires_at > self._server.clock(),
            )
            return connection.scalar(count) or 0

    def list(self, template: str | None = None) -> Sequence[KnownChallenge]:
        """Return those that are known, newest first; of the secrets only hashes are."""
        found = select(*_LISTED).order_by(challenge.c.id.desc())
        if template is not None:
            found = found.where(challenge.c.template == template)
        with self._server.database.reading() as connection:
            return [_known(row) for row in connection.execute(found)]

    def still_open(self, template: str) -> Sequence[KnownChallenge]:
        """Return those of a template that can still be used, newest first."""
        now = self._server.clock()
        return [one for one in self.list(template) if one.uses_left > 0 and one.expires_at > now]

    def withdraw(self, challenge_id: int, actor: str) -> None:
        """Make one worthless.

        Raises:
            NotFound: there is none that could still be used.
        """
        now = self._server.clock()
        with self._server.database.transaction() as connection:
            over = connection.execute(
                update(challenge)
                .where(challenge.c.id == challenge_id, challenge.c.expires_at > now)
                .values(uses_left=0, expires_at=now)
            )
            if over.rowcount != 1:
                raise NotFound(f"there is no challenge {challenge_id} that could still be used")
            self._server.audit.record(
                connection, "scep.challenge-withdrawn", actor, challenge=challenge_id
            )


_BOUND = challenge.c.common_name, challenge.c.subject, challenge.c.names
_FOUND = challenge.c.id, challenge.c.template, *_BOUND
_LISTED = (
    challenge.c.id,
    challenge.c.template,
    challenge.c.method,
    *_BOUND,
    challenge.c.uses_left,
    challenge.c.expires_at,
    challenge.c.created_by,
)


def _known(row: Row[*tuple[object, ...]]) -> KnownChallenge:
    return KnownChallenge(
        row.id,
        row.template,
        row.method,
        kept_binding(row.common_name, row.subject, row.names),
        row.uses_left,
        row.expires_at,
        row.created_by,
    )


class OneTime:
    """The method: ``one-time`` for those that people made, ``ndes`` for those of the page."""

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self.name = name

    def check(self, question: ChallengeQuestion) -> Verdict:
        """See ``pikaserver_scep.challenges.method.ChallengeMethod``.

        A spent challenge still tells who asks, so that its owner can fetch what waited for
        approval, but it buys nothing more.
        """
        password = question.csr.challenge_password
        if password is None:
            return NotMine()
        found = select(*_FOUND).where(
            challenge.c.challenge_hash == digest(password), challenge.c.method == self.name
        )
        with self._server.database.reading() as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            return NotMine()
        template: str = row.template
        if template != question.template.name:
            return Refused(f"this challenge is not for template {question.template.name!r}")
        bound = kept_binding(row.common_name, row.subject, row.names)
        if bound.common_name is not None and bound.common_name not in _common_names(question):
            return Refused(f"this challenge is for {bound.common_name!r} only", guess=False)
        requester = Requester(
            name=f"{METHOD}:{self.name}-{row.id}",
            method=METHOD,
            address=question.address,
            templates=frozenset({template}),
            proof=ChallengeUse(row.id, self._server.clock),
            common_name=bound.common_name,
            bound_subject=bound.subject,
            bound_names=bound.names,
        )
        return Accepted(requester, self.name)


def _common_names(question: ChallengeQuestion) -> list[str]:
    found = question.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(attribute.value) for attribute in found]
