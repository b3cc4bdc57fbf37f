"""Enrolment codes: a user name and a secret, good for one template and so many uses."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.codes import EnrollmentCode
from pikaserver.api.errors import NotAuthenticated, NotFound, RequestRejected
from pikaserver.api.operations import Clock, Entropy
from pikaserver.api.storage import Database
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage import codes as storage

MOST_USES = 1_000_000
"""More than this is a mistake."""

LIFETIME = timedelta(days=7)
"""How long a code is good unless told otherwise."""

# RFC 7617 section 2: a user has no colon.
_USER = re.compile(r"[!-9;-~]{1,100}")


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code in clear: shown once, stored as a hash only."""

    user: str
    code: str = field(repr=False)
    template: str
    uses: int


@dataclass(frozen=True, slots=True)
class CodeUse:
    """The one-time proof behind a code; implements ``pikaserver.api.issuance.OneTimeProof``."""

    code_id: int
    clock: Clock

    def spend(self, connection: Connection) -> None:
        """See the protocol."""
        if not storage.spend(connection, self.code_id, self.clock()):
            raise NotAuthenticated("this enrolment code is used up, expired or withdrawn")

    def restore(self, connection: Connection) -> None:
        """See the protocol."""
        storage.restore(connection, self.code_id)


class Codes:
    """Makes, finds and withdraws enrolment codes."""

    def __init__(
        self,
        database: Database,
        templates: TemplateDirectory,
        audit: AuditTrail,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._templates = templates
        self._audit = audit
        self._clock = clock
        self._entropy = entropy

    def create(
        self,
        template: str,
        actor: str,
        *,
        uses: int = 1,
        lifetime: timedelta = LIFETIME,
        user: str | None = None,
        common_name: str | None = None,
    ) -> NewCode:
        """Make a code; only its hash is stored, so this is the one time that it is seen.

        Raises:
            NotFound: no such template.
            Conflict: the user has a code already.
            RequestRejected: the template does not take codes, the number of uses is absurd, or
                HTTP Basic could not carry the user.
        """
        version = self._templates.version(template)
        if "code" not in version.template.proofs:
            raise RequestRejected(f"template {template!r} does not accept enrolment codes")
        if not 1 <= uses <= MOST_USES or lifetime <= timedelta(0):
            raise RequestRejected("a code needs at least one use and a lifetime")
        user = user or f"{template}-{self._entropy(4).hex()}"
        if not _USER.fullmatch(user):
            raise RequestRejected(
                "a user has 1 to 100 printable ASCII characters, none of them a space or a colon"
            )
        code = base64.b32encode(self._entropy(20)).decode().lower()
        now = self._clock()
        with self._database.transaction() as connection:
            storage.insert(
                connection,
                storage.NewCode(
                    user=user,
                    code_hash=code_hash(code),
                    template_id=version.id,
                    uses_left=uses,
                    expires_at=now + lifetime,
                    common_name=common_name,
                    created_at=now,
                    created_by=actor,
                ),
            )
            self._audit.record(
                connection, "code.created", actor, user=user, template=template, uses=uses
            )
        return NewCode(user, code, template, uses)

    def find(self, user: str) -> EnrollmentCode | None:
        """See ``pikaserver.api.codes.EnrollmentCodes``."""
        with self._database.reading() as connection:
            row = storage.find(connection, user)
        if row is None:
            return None
        return EnrollmentCode(
            user=row.user,
            code_hash=row.code_hash,
            template=row.template,
            expires_at=row.expires_at,
            common_name=row.common_name,
            proof=CodeUse(row.id, self._clock),
        )

    def list(self) -> Sequence[storage.CodeRow]:
        """Return all codes, newest first; of the secrets only hashes are known."""
        with self._database.reading() as connection:
            return storage.list(connection)

    def withdraw(self, user: str, actor: str) -> None:
        """Make a code worthless.

        Raises:
            NotFound: no such code.
        """
        with self._database.transaction() as connection:
            if not storage.withdraw(connection, user, self._clock()):
                raise NotFound(f"there is no code for {user!r} that could still be used")
            self._audit.record(connection, "code.withdrawn", actor, user=user)


def code_hash(code: str) -> bytes:
    """Return what is stored of a code: it has 160 random bits, so a plain hash is enough."""
    return hashlib.sha256(code.encode()).digest()
