"""Enrolment codes in memory, counted as the database would."""

import hashlib
from datetime import datetime
from threading import Lock

from sqlalchemy import Connection

from pikaserver.api.codes import EnrollmentCode
from pikaserver.api.errors import NotAuthenticated


class FakeProof:
    """See ``pikaserver.api.issuance.OneTimeProof``; ``uses_left`` may be looked at."""

    def __init__(self, uses: int) -> None:
        self.uses_left = uses
        self._lock = Lock()

    def spend(self, connection: Connection) -> None:
        """Count one use."""
        with self._lock:
            if self.uses_left < 1:
                raise NotAuthenticated("the enrolment code is spent")
            self.uses_left -= 1

    def restore(self, connection: Connection) -> None:
        """Give one use back."""
        with self._lock:
            self.uses_left += 1


class FakeCodes:
    """See ``pikaserver.api.codes.EnrollmentCodes``."""

    def __init__(self) -> None:
        self._codes: dict[str, EnrollmentCode] = {}

    def add(
        self,
        user: str,
        code: str,
        template: str,
        expires_at: datetime,
        *,
        uses: int = 1,
        common_name: str | None = None,
    ) -> FakeProof:
        """Store a code and return what counts its uses."""
        proof = FakeProof(uses)
        self._codes[user] = EnrollmentCode(
            user,
            hashlib.sha256(code.encode()).digest(),
            template,
            expires_at,
            common_name,
            proof,
        )
        return proof

    def find(self, user: str) -> EnrollmentCode | None:
        """See ``pikaserver.api.codes.EnrollmentCodes``."""
        return self._codes.get(user)
