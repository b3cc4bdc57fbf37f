"""Work beside the requests: jobs, events and their observers, the audit trail, health, metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.crls import CrlRecord

Clock = Callable[[], datetime]
"""The one source of time: aware, UTC."""

Entropy = Callable[[int], bytes]
"""The one source of randomness: so many octets from the operating system."""


@dataclass(frozen=True, slots=True)
class Job:
    """Periodic work; under a lease in the database, so that one node runs it at a time."""

    name: str
    every: timedelta
    run: Callable[[], None]


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    """A certificate was signed and stored."""

    record: CertificateRecord


@dataclass(frozen=True, slots=True)
class CertificateRevoked:
    """A certificate was revoked, put on hold or released; ``record`` holds its new status."""

    record: CertificateRecord


@dataclass(frozen=True, slots=True)
class CrlIssued:
    """A CRL was signed and stored."""

    record: CrlRecord


@dataclass(frozen=True, slots=True)
class RequestWaiting:
    """A request waits for approval."""

    request_id: int
    template: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should look at now; ``name`` is like ``agents.journal-differs``."""

    name: str
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


Event = CertificateIssued | CertificateRevoked | CrlIssued | RequestWaiting | Alarm


class Observer(Protocol):
    """Told after the deed; its errors are logged, never returned."""

    def notice(self, event: Event) -> None:
        """Take note of what happened."""
        ...


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One line of the trail; ``hash`` covers the line and ``previous``, both SHA-256."""

    node: int
    sequence: int
    at: datetime
    event: str
    actor: str
    fields: Mapping[str, object]
    previous: bytes
    hash: bytes


AuditField = str | int | bool | None | list[str]


class Audit(Protocol):
    """Writing to the trail."""

    def record(self, connection: Connection, event: str, actor: str, **fields: AuditField) -> None:
        """Append one line; it becomes durable together with the deed, or not at all."""
        ...


class Secrets(Protocol):
    """Sealing what a plugin has to store, under the key-encryption key of the server."""

    def seal(self, purpose: str, plain: bytes) -> bytes:
        """Return the octets sealed; they open for the same purpose only."""
        ...

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            KeyUnavailable: it was sealed for another purpose or by another server, or altered.
        """
        ...


class AuditSink(Protocol):
    """A further copy of the trail, written after the deed is durable."""

    def write(self, record: AuditRecord) -> None:
        """Copy one line."""
        ...


class HealthState(StrEnum):
    """``failing`` makes the node not ready; ``degraded`` is shown only."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found, in one sentence."""

    state: HealthState
    detail: str


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One part of ``/readyz``."""

    name: str
    check: Callable[[], Health]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric with its labels; label values come from our own lists only."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of ``/metrics``; its name begins with ``pikaserver_``."""

    name: str
    help: str
    kind: str
    """``counter`` or ``gauge``."""
    read: Callable[[], Sequence[Sample]]
