"""Accounts of programs that fetch passwords from the NDES page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from pikaserver.api.errors import Conflict, NotAllowed, NotAuthenticated, NotFound, RequestRejected
from pikaserver.api.server import Server
from pikaserver_scep.challenges.addresses import guesser
from pikaserver_scep.challenges.secrets import HashedSecret, hashed, new_secret
from pikaserver_scep.challenges.tables import ndes_account

# RFC 7617 section 2: a user has no colon.  DOMAIN\user and user@domain are usual.
_USER = re.compile(r"[!-9;-~]{1,100}")
_FAILURES_OF_ADDRESS = 20
_WRONG = "wrong user or password"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account with its password in clear: shown once."""

    user: str
    password: str = field(repr=False)
    template: str | None


class NdesAccounts:
    """Makes, lists, withdraws and recognises them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lockout = server.lockouts.named("scep-ndes", _FAILURES_OF_ADDRESS)
        # Somebody who does not exist takes as long as one who does.
        self._nobody = HashedSecret(b"", bytes(32), slow=False)

    def create(
        self, user: str, actor: str, *, template: str | None = None, chosen: str | None = None
    ) -> NewAccount:
        """Make one, for one template or for all.

        Raises:
            NotFound: no such template.
            Conflict: the name is taken.
            RequestRejected: HTTP Basic could not carry the name, or the password is too short.
        """
        if not _USER.fullmatch(user):
            raise RequestRejected(
                "a user has 1 to 100 printable ASCII characters, none of them a space or a colon"
            )
        if template is not None:
            self._server.templates.get(template)
        password = chosen or new_secret(self._server.entropy)
        kept = hashed(password, self._server.entropy, chosen=chosen is not None)
        new = {
            "user": user,
            "template": template,
            "salt": kept.salt,
            "hash": kept.hash,
            "slow": kept.slow,
            "created_at": self._server.clock(),
            "created_by": actor,
        }
        with self._server.database.transaction() as connection:
            try:
                connection.execute(insert(ndes_account), new)
            except IntegrityError as error:
                raise Conflict(f"there is an account {user!r} already") from error
            self._server.audit.record(
                connection, "scep.ndes-account-created", actor, user=user, template=template
            )
        return NewAccount(user, password, template)

    def list(self) -> Sequence[Row[str, str | None, datetime, str]]:
        """Return them all by name."""
        found = select(
            ndes_account.c.user,
            ndes_account.c.template,
            ndes_account.c.created_at,
            ndes_account.c.created_by,
        ).order_by(ndes_account.c.user)
        with self._server.database.reading() as connection:
            return connection.execute(found).all()

    def withdraw(self, user: str, actor: str) -> None:
        """Remove one.

        Raises:
            NotFound: there is none of that name.
        """
        with self._server.database.transaction() as connection:
            gone = connection.execute(delete(ndes_account).where(ndes_account.c.user == user))
            if gone.rowcount != 1:
                raise NotFound(f"there is no account {user!r}")
            self._server.audit.record(connection, "scep.ndes-account-withdrawn", actor, user=user)

    def authenticate(self, user: str, password: str, template: str, address: str | None) -> str:
        """Return who asks, as the audit trail calls it.

        Raises:
            NotAuthenticated: there is no such account, or the password is wrong.
            NotAllowed: it is for another template.
            TooManyRequests: too many wrong passwords came from there.
        """
        key = guesser(address)
        self._lockout.check(key)
        with self._server.database.reading() as connection:
            row = connection.execute(
                select(
                    ndes_account.c.template,
                    ndes_account.c.salt,
                    ndes_account.c.hash,
                    ndes_account.c.slow,
                ).where(ndes_account.c.user == user)
            ).one_or_none()
        kept = self._nobody if row is None else HashedSecret(row.salt, row.hash, row.slow)
        right = kept.fits(password)
        if row is None or not right:
            # No success forgets it: who has one account could guess at the others for ever.
            self._lockout.failed(key)
            raise NotAuthenticated(_WRONG)
        if row.template not in (None, template):
            raise NotAllowed(f"{user} may not fetch passwords for {template!r}")
        return f"ndes:{user}"
