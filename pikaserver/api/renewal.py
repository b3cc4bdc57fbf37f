"""When a certificate should be renewed: one question, which every door passes on in its words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pikaserver.api.certificates import CertificateRecord


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """The time in which a certificate should be renewed.

    A client takes a moment between ``start`` and ``end`` by chance, so that not all come at
    once, and asks again after ``retry_after`` seconds: the window may be pulled forward.
    ``why`` is a sentence for people where that has happened.
    """

    start: datetime
    end: datetime
    retry_after: int
    why: str | None = None


class Renewals(Protocol):
    """Answers the one question."""

    def window(self, record: CertificateRecord) -> RenewalWindow:
        """Return when a certificate should be renewed; in the past for one that is not valid."""
        ...

    def find(self, identifier: str) -> CertificateRecord:
        """Return the certificate that a client means.

        Args:
            identifier: the one of RFC 9773 section 4.1, or SHA-256 of the certificate in hex.

        Raises:
            MalformedRequest: it is neither.
            NotFound: no such certificate was issued here.
        """
        ...


def renewal_info(window: RenewalWindow) -> Mapping[str, object]:
    """Return the window as the JSON object of RFC 9773 section 4.2, with the reason if any."""
    info: dict[str, object] = {
        "suggestedWindow": {"start": _moment(window.start), "end": _moment(window.end)}
    }
    if window.why is not None:
        info["reason"] = window.why
    return info


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
