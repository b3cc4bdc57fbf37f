"""Enrolment codes: user and code, typed once into a client, good for one template."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pikaserver.api.issuance import OneTimeProof


@dataclass(frozen=True, slots=True)
class EnrollmentCode:
    """What is stored of one code.

    ``code_hash`` is SHA-256 over the code in UTF-8: codes have 128 random bits, so nothing
    slower is needed.  A code may be bound to one common name.  How many uses are left is
    known to ``proof`` alone, which counts in the database.
    """

    user: str
    code_hash: bytes
    template: str
    expires_at: datetime
    common_name: str | None
    proof: OneTimeProof


class EnrollmentCodes(Protocol):
    """Finding codes."""

    def find(self, user: str) -> EnrollmentCode | None:
        """Return the code of a user, spent or not; ``None`` if there is none, or no longer."""
        ...
