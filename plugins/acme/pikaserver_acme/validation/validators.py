"""The validation's side of the plugin: what the orders begin, and what comes of it."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from pikaserver.api.errors import Unavailable
from pikaserver.api.operations import Health, HealthCheck, HealthState, Metric, Sample
from pikaserver.api.server import Server
from pikaserver_acme.validation import dns_01, http_01, queue, tls_alpn_01
from pikaserver_acme.validation.addresses import read_networks
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation.device_attest_01 import DeviceAttest01
from pikaserver_acme.validation.caa import CaaLookUp
from pikaserver_acme.validation.dns_persist_01 import DnsPersist01
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.perspectives import Finding, Perspectives
from pikaserver_acme.validation.pool import Bench, Pool, Sizes
from pikaserver_acme.validation.question import CaaQuestion, Challenges, Question, Verdict
from pikaserver_acme.validation.queue import Turn
from pikaserver_acme.validation.settings import ValidationSettings

Check: TypeAlias = Callable[[Question, Lookout], None]

BEYOND_ATTEMPTS = 3
"""So many attempts more than a policy wants may be cut short by a crash; then it is given up."""
CAA_AT_ONCE = 4
"""So many finalizations may wait for CAA records: half of the threads that answer requests."""
CAA_WAITS_SECONDS = 1.0
DNS_TYPES = frozenset({"dns-01", "dns-account-01", "dns-persist-01"})
"""Only these speak for names below, too (RFC 8555 section 7.1.3, RFC 9444 section 4)."""

_log = logging.getLogger(__name__)


class Validation:
    """Implements ``pikaserver_acme.validation.question.Validators``."""

    def __init__(
        self, server: Server, challenges: Challenges, settings: ValidationSettings
    ) -> None:
        self._challenges = challenges
        self._clock = server.clock
        self._database = server.database
        self._attestations = DeviceAttest01(server.clock)
        self._checks: dict[str, Check] = {
            "http-01": http_01.check,
            "dns-01": dns_01.check,
            "tls-alpn-01": tls_alpn_01.check,
            "dns-account-01": dns_01.check_account,
            "dns-persist-01": DnsPersist01(server.clock).check,
        }
        # One thread per further point of each challenge at work; they make no work themselves.
        lookers = ThreadPoolExecutor(settings.workers * 2, thread_name_prefix="acme-look")
        refused = read_networks(settings.never_reach)
        self._perspectives = Perspectives(lookers, server.own_ports, refused)
        bench = Bench(server.database, server.clock, server.node)
        self._pool = Pool(bench, Sizes(settings.workers, settings.waiting), self._attempt)
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._counting = threading.Lock()
        self._caa_turns = threading.BoundedSemaphore(CAA_AT_ONCE)

    @property
    def types(self) -> Sequence[str]:
        """See ``pikaserver_acme.validation.question.Validators``."""
        return (*self._checks, DeviceAttest01.TYPE)

    def start(self) -> None:
        """Take up what was left, and begin to validate."""
        self._pool.start()

    def stop(self) -> None:
        """Validate nothing more; what is not done goes on after the next start."""
        self._pool.stop()

    def begin(self, challenge_id: int) -> None:
        """See ``pikaserver_acme.validation.question.Validators``."""
        self._pool.begin(challenge_id)

    def look_at_caa(self, asked: Sequence[CaaQuestion]) -> Verdict:
        """See ``pikaserver_acme.validation.question.Validators``."""
        asked = [one for one in asked if one.limits.caa_identities]
        if not asked:
            return Verdict()

        def look(lookout: Lookout) -> None:
            look_up = CaaLookUp(lookout)
            for one in asked:
                look_up.check(one)

        if not self._caa_turns.acquire(timeout=CAA_WAITS_SECONDS):
            raise Unavailable("the DNS is slow to answer for others, too; finalize again soon")
        try:
            return _verdict(self._perspectives.look(asked[0].limits, look))
        finally:
            self._caa_turns.release()

    def validate(self, question: Question) -> tuple[Verdict, bool]:
        """Look once, now and in this thread; tell whether another attempt may find more."""
        try:
            facts, finding = self._looked(question)
        except Failed as failure:
            facts, finding = {}, Finding(failure, (f"failed: {failure.detail}",))
        verdict = _verdict(finding, facts)
        return verdict, finding.failure is not None and finding.failure.again

    def health_checks(self) -> list[HealthCheck]:
        """Tell how much waits."""
        return [HealthCheck("acme-validation", self._health)]

    def metrics(self) -> list[Metric]:
        """Count outcomes and what is at work."""
        return [
            Metric(
                "pikaserver_acme_validations_total",
                "Attempts to validate a challenge.",
                "counter",
                self._counted,
            ),
            Metric(
                "pikaserver_acme_validations_running",
                "Challenges being validated on this node.",
                "gauge",
                lambda: [Sample(float(self._pool.running))],
            ),
        ]

    def _looked(self, question: Question) -> tuple[Mapping[str, str], Finding]:
        if question.challenge_type == DeviceAttest01.TYPE:
            return self._attestations.check(question)
        check = self._checks.get(question.challenge_type)
        if check is None:
            raise Failed("malformed", f"no challenge of type {question.challenge_type!r} here")
        if (question.wildcard or question.subdomains) and question.challenge_type not in DNS_TYPES:
            why = f"{question.challenge_type} says nothing of names below; take dns-01"
            raise Failed("malformed", why)
        by_name = question.challenge_type in DNS_TYPES
        if question.identifier_type not in (("dns",) if by_name else ("dns", "ip")):
            why = f"{question.challenge_type} is not for a {question.identifier_type}"
            raise Failed("malformed", why)
        look = partial(_look, check, question)
        return {}, self._perspectives.look(question.limits, look)

    def _attempt(self, turn: Turn) -> timedelta | None:
        """Make an attempt; return after how long to make another one, ``None``: settled."""
        question = self._challenges.ask(turn.challenge_id)
        if question is None:
            return None
        limits = question.limits
        if turn.number > limits.attempts + BEYOND_ATTEMPTS:
            verdict, again = (
                Verdict("serverInternal", "validation was interrupted too often"),
                False,
            )
        else:
            verdict, again = self._guarded(question)
        with self._counting:
            self._outcomes[question.challenge_type, verdict.error or "valid"] += 1
        self._tell(turn, question, verdict)
        if again and turn.number < limits.attempts:
            with self._database.transaction() as connection:
                queue.note(connection, turn, self._clock(), verdict.log)
            return timedelta(seconds=limits.retry_seconds)
        # Who settles keeps the last attempt's lines, together with what they led to.
        self._challenges.settle(turn.challenge_id, verdict)
        return None

    def _guarded(self, question: Question) -> tuple[Verdict, bool]:
        try:
            return self.validate(question)
        except Exception:  # noqa: BLE001 - a job runner: no challenge may wait for ever
            _log.exception("validation failed", extra={"challenge": question.challenge_id})
            return Verdict("serverInternal", "validation failed inside the server"), True

    def _tell(self, turn: Turn, question: Question, verdict: Verdict) -> None:
        fields = {
            "challenge": turn.challenge_id,
            "attempt": turn.number,
            "type": question.challenge_type,
            "identifier": question.identifier_value,
        }
        if verdict.valid:
            _log.info("validated", extra=fields)
        else:
            told = {**fields, "error": verdict.error, "detail": verdict.detail}
            _log.warning("not validated", extra=told)

    def _health(self) -> Health:
        with self._database.reading() as connection:
            waiting = queue.waiting(connection)
        return Health(HealthState.OK, f"{self._pool.running} at work, {waiting} in the queue")

    def _counted(self) -> list[Sample]:
        return [
            Sample(float(count), (("type", kind), ("outcome", outcome)))
            for (kind, outcome), count in list(self._outcomes.items())
        ]


def _look(check: Check, question: Question, lookout: Lookout) -> None:
    """Look whether the account controls the name, and whether its owner lets us issue for it."""
    check(question, lookout)
    name, limits = question.identifier_value, question.limits
    if limits.caa_identities and question.identifier_type == "dns":
        kind, account_url = question.challenge_type, question.account_url
        asked = CaaQuestion(name, question.wildcard, kind, account_url, limits)
        CaaLookUp(lookout).check(asked)


def _verdict(finding: Finding, facts: Mapping[str, str] | None = None) -> Verdict:
    failure = finding.failure
    if failure is None:
        return Verdict(log=finding.lines, facts=facts or {})
    return Verdict(failure.error, failure.detail, finding.lines)
