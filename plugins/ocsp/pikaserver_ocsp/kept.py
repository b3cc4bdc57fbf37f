"""Answers without a nonce, signed once and given to all who ask: what they are, and memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import NamedTuple

from pikaserver.api.certificates import SerialStatus
from pikaserver.asn1.ocsp_writing import GOOD, response


class AnswerKey(NamedTuple):
    """Which answer: of which certificate, to which form of CertID, by which responder."""

    generation_id: int
    serial: int
    form: int
    unit: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer.

    ``status`` are the octets of what it says: when they are other ones now, it is wrong.
    ``signer`` is the number of the responder's certificate and ``signer_serial`` its serial
    number, ``None`` where the authority itself signed.  ``signed`` is a
    BasicOCSPResponse without the ``enclosed`` certificates, ``octets`` the whole.
    """

    key: AnswerKey
    status: bytes
    signer: int
    signer_serial: int | None
    this_update: datetime
    next_update: datetime
    signed: bytes
    enclosed: tuple[bytes, ...]
    octets: bytes = field(init=False, repr=False)
    tag: str = field(init=False)

    def __post_init__(self) -> None:
        octets = response(self.signed, self.enclosed)
        object.__setattr__(self, "octets", octets)
        # A strong validator (RFC 9110 section 8.8.3) that all nodes find alike.
        object.__setattr__(self, "tag", hashlib.sha256(octets).hexdigest())

    @property
    def word(self) -> str:
        """What it says, in a word for people."""
        return "good" if self.status.startswith(GOOD) else "revoked"

    @property
    def due_at(self) -> datetime:
        """When the next one shall be made: after half of its time."""
        return self.this_update + (self.next_update - self.this_update) / 2

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time for the next one; a clock that ran back counts so, too."""
        return not self.this_update <= now < self.due_at

    def is_in_time(self, now: datetime) -> bool:
        """Tell whether it counts by its own words."""
        return self.this_update <= now <= self.next_update

    def holds(self, status: bytes, statuses: Mapping[int, SerialStatus], now: datetime) -> bool:
        """Tell whether it may be given out: still true, in time, by a responder not revoked."""
        if self.status != status or not self.is_in_time(now):
            return False
        if self.signer_serial is None:
            return True
        signer = statuses.get(self.signer_serial)
        return signer is not None and signer.revocation is None


class Memory:
    """The answers that were given last, so many at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: dict[AnswerKey, KeptAnswer] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: AnswerKey) -> KeptAnswer | None:
        """Return an answer that is at hand."""
        return self._answers.get(key)

    def put(self, answer: KeptAnswer) -> None:
        """Keep an answer; the one that is here for longest goes where there is no more room."""
        with self._lock:
            self._answers.pop(answer.key, None)
            if len(self._answers) >= self._most:
                del self._answers[next(iter(self._answers))]
            self._answers[answer.key] = answer
