"""device-attest-01 (draft-ietf-acme-device-attest): hardware vouches for a key and for itself."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from pikaserver.api.operations import Clock
from pikaserver_acme.validation.attempt import Attempt, Failed
from pikaserver_acme.validation.attestation import apple, step, tpm
from pikaserver_acme.validation.attestation.evidence import Evidence
from pikaserver_acme.validation.attestation.signatures import fingerprint
from pikaserver_acme.validation.attestation.statements import Statement, read_response
from pikaserver_acme.validation.perspectives import Finding
from pikaserver_acme.validation.question import Question

Format: TypeAlias = Callable[[Statement, Question, datetime], Evidence]

FORMATS: Mapping[str, Format] = {
    "apple": apple.evidence,
    "step": step.evidence,
    "tpm": tpm.evidence,
}
PUBLIC_KEY = "public_key_sha256"
"""The fact that binds: the order's key has to be this one, by its SubjectPublicKeyInfo."""


class DeviceAttest01:
    """Reads attestations at the time of ``clock``; nothing is fetched for it."""

    TYPE = "device-attest-01"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(self, question: Question) -> tuple[Mapping[str, str], Finding]:
        """Return the facts that an attestation proves, and the finding."""
        attempt = Attempt(question.limits.timeout_seconds)
        try:
            facts = self._facts(question, attempt)
        except Failed as failure:
            attempt.note(f"failed: {failure.detail}")
            return {}, Finding(failure, tuple(attempt.lines))
        attempt.note("succeeded")
        return facts, Finding(None, tuple(attempt.lines))

    def _facts(self, question: Question, attempt: Attempt) -> Mapping[str, str]:
        statement = read_response(question.response)
        attempt.note(f"got an attestation of the format {statement.format!r}")
        read = FORMATS.get(statement.format)
        if read is None:
            why = f"attestations of the format {statement.format[:50]!r} are not taken"
            raise Failed("badAttestationStatement", f"{why}; {', '.join(FORMATS)} are")
        evidence = read(statement, question, self._clock())
        attempt.note(f"it speaks of {', '.join(evidence.permanent) or 'no permanent identifier'}")
        _check_identifier(evidence, question)
        told = {name: value for name, value in evidence.facts.items() if value}
        return {**told, "format": statement.format, PUBLIC_KEY: fingerprint(evidence.key)}


def _check_identifier(evidence: Evidence, question: Question) -> None:
    kind, value = question.identifier_type, question.identifier_value
    if kind == "permanent-identifier":
        if value in evidence.permanent:
            return
        found = ", ".join(evidence.permanent) or "none"
        why = f"the attestation speaks of {found}, not of {value!r}"
        raise Failed("badAttestationStatement", why)
    if kind != "hardware-module":
        raise Failed("malformed", f"device-attest-01 is not for a {kind}")
    try:
        module = base64.b64decode(value + "=" * (-len(value) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failed("malformed", "a hardware module is a name in DER, in base64url") from error
    if module not in evidence.modules:
        raise Failed("badAttestationStatement", "the attestation speaks of another module, or none")
