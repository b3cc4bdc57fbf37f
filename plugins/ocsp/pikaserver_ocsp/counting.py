"""What happened, counted: for metrics and for the health of responders."""

from collections import Counter
from threading import Lock

from pikaserver.api.errors import PikaserverError
from pikaserver.api.operations import Health, HealthState, Sample
from pikaserver_ocsp.issuers import Issuer

NOBODY = ""
"""Stands for the authority where a request names none of ours."""


class Counts:
    """Answers by authority and status, signatures, and who cannot sign now."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._signatures: Counter[str] = Counter()
        self._never_issued: Counter[str] = Counter()
        self._troubles: dict[str, str] = {}
        self._fit: set[str] = set()

    def answered(self, authority: str, status: str) -> None:
        """Count an answer about one certificate, or an error."""
        with self._lock:
            self._answers[authority, status] += 1

    def signed(self, issuer: Issuer, unit: str) -> None:
        """Count a signature; its responder is fit."""
        name = _name(issuer, unit)
        with self._lock:
            self._signatures[issuer.authority] += 1
            self._fit.add(name)
            self._troubles.pop(name, None)

    def failed(self, issuer: Issuer, unit: str, error: PikaserverError) -> None:
        """Remember why a responder could not sign."""
        name = _name(issuer, unit)
        with self._lock:
            self._fit.discard(name)
            self._troubles[name] = str(error)

    def never_issued(self, authority: str) -> None:
        """Count a question for a serial number that was never given out."""
        with self._lock:
            self._never_issued[authority] += 1

    def health(self) -> Health:
        """Say which responders could not sign when they were asked last.

        It is never worse than degraded: kept answers, and other authorities', go on.
        """
        with self._lock:
            troubles = [f"{name}: {why}" for name, why in sorted(self._troubles.items())]
            fit = len(self._fit)
        if troubles:
            return Health(HealthState.DEGRADED, "cannot sign: " + "; ".join(troubles))
        return Health(HealthState.OK, f"{fit} responders have signed")

    def answers(self) -> list[Sample]:
        """Return the answers counted, for a metric."""
        with self._lock:
            found = sorted(self._answers.items())
        return [
            Sample(number, (("authority", authority), ("status", status)))
            for (authority, status), number in found
        ]

    def signatures(self) -> list[Sample]:
        """Return the signatures counted, for a metric."""
        with self._lock:
            return _samples(self._signatures)

    def strangers(self) -> list[Sample]:
        """Return how often serial numbers were asked for that were never given out."""
        with self._lock:
            return _samples(self._never_issued)


def _samples(counter: Counter[str]) -> list[Sample]:
    return [Sample(number, (("authority", name),)) for name, number in sorted(counter.items())]


def _name(issuer: Issuer, unit: str) -> str:
    return f"{issuer.authority}.g{issuer.generation.number}" + (f" {unit}" if unit else "")
