"""The method ``intune``: the service elsewhere decides, and is told how it ended."""

import logging
from datetime import timedelta

from pikaserver.api.errors import (
    NotAuthenticated,
    PikaserverError,
    RequestRejected,
    TooManyRequests,
    Unavailable,
)
from pikaserver.api.issuance import Issued, Pending, Requester
from pikaserver.api.operations import Clock
from pikaserver_scep.challenges.intune.states import (
    FAILURE,
    RECONCILE,
    UNREACHED,
    VALIDATED,
    IntuneRequest,
    IntuneRequests,
    ValidatedOnce,
)
from pikaserver_scep.challenges.intune.validation import GUESSES, Validation, ValidationFailed
from pikaserver_scep.challenges.method import (
    METHOD,
    Accepted,
    ChallengeQuestion,
    NotMine,
    Postponed,
    Refused,
    Verdict,
)

RETRY_AFTER = 60
"""Seconds after which a device may ask again while the service is down."""
_NOT_FINAL = (NotAuthenticated, TooManyRequests, Unavailable)

_log = logging.getLogger(__name__)


class Intune:
    """See ``pikaserver_scep.challenges.method.ChallengeMethod`` and ``OutcomeWanted``."""

    name = "intune"

    def __init__(
        self,
        connector: str,
        validation: Validation,
        requests: IntuneRequests,
        clock: Clock,
        give_up: timedelta,
    ) -> None:
        self._connector = connector
        self._validation = validation
        self._requests = requests
        self._clock = clock
        self._give_up = give_up

    def check(self, question: ChallengeQuestion) -> Verdict:
        """See the protocol; what was validated once is not asked again."""
        if not question.csr.challenge_password or not question.transaction:
            return NotMine()
        known = self._requests.find(question)
        if known is not None and known.state == FAILURE:
            return Refused(known.error or "Intune was told of a failure", guess=False)
        if known is not None and known.state != UNREACHED:
            return self._accepted(known, question)
        try:
            self._validation.validate(question.transaction, question.csr.der)
        except Unavailable as error:
            return self._postponed(known, question, error)
        except RequestRejected as error:
            if known is not None:
                self._requests.forget(known)
            code = error.code if isinstance(error, ValidationFailed) else None
            return Refused(str(error), guess=code in GUESSES)
        validated = self._requests.note(self._connector, question, VALIDATED)
        return self._accepted(validated, question)

    def settled(
        self, question: ChallengeQuestion, outcome: Issued | Pending | PikaserverError
    ) -> None:
        """See the protocol; the job tells Intune."""
        known = self._requests.find(question)
        if known is None or isinstance(outcome, _NOT_FINAL):
            return
        if isinstance(outcome, Issued):
            self._requests.succeed(known, outcome.record.id)
        elif isinstance(outcome, Pending):
            self._requests.wait(known, outcome.request_id, self._clock() + RECONCILE)
        else:
            self._requests.fail(known, str(outcome))

    def _postponed(
        self, known: IntuneRequest | None, question: ChallengeQuestion, error: Unavailable
    ) -> Postponed | Refused:
        if known is None:
            known = self._requests.note(self._connector, question, UNREACHED)
        _log.warning(
            "Intune not reached", extra={"connector": self._connector, "error": str(error)}
        )
        if self._clock() >= known.created_at + self._give_up:
            why = f"Intune could not be asked for {self._give_up}"
            self._requests.fail(known, why)
            return Refused(why, guess=False)
        return Postponed(str(error), RETRY_AFTER)

    def _accepted(self, known: IntuneRequest, question: ChallengeQuestion) -> Accepted:
        requester = Requester(
            name=f"{METHOD}:intune-{self._connector}",
            method=METHOD,
            address=question.address,
            templates=frozenset({question.template.name}),
            proof=ValidatedOnce(known.id, self._clock),
        )
        return Accepted(requester, self.name)
