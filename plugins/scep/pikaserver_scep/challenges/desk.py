"""All methods of all templates, with the lists of addresses and the limits on guessing."""

import logging
from collections.abc import Mapping

from pikaserver.api.errors import NotAuthenticated, PikaserverError
from pikaserver.api.issuance import Issued, Pending
from pikaserver.api.lockouts import Lockout, Lockouts
from pikaserver.api.templates import Template
from pikaserver_scep.challenges.addresses import AddressList, guesser
from pikaserver_scep.challenges.method import (
    Accepted,
    ChallengeMethod,
    ChallengeQuestion,
    NotMine,
    OutcomeWanted,
    Postponed,
    Refused,
    Verdict,
)
from pikaserver_scep.challenges.settings import ChallengeSettings, TemplateChallenges

_WRONG = Refused()
_NONE = "the request has no challenge password, and nobody lets it in without one"

_log = logging.getLogger(__name__)


class ChallengeDesk:
    """Implements ``pikaserver_scep.challenges.method.Challenges``.

    ``methods`` are found by name; those that speak to a service elsewhere by ``name/which``.
    """

    def __init__(
        self,
        settings: ChallengeSettings,
        methods: Mapping[str, ChallengeMethod],
        lockouts: Lockouts,
    ) -> None:
        self._settings = settings
        self._methods = methods
        self._listening = {
            name: method for name, method in methods.items() if isinstance(method, OutcomeWanted)
        }
        self._lockouts = lockouts

    def check(self, question: ChallengeQuestion) -> Accepted | Postponed:
        """See the protocol."""
        template, address = question.template, question.address
        self.check_address(template, address)
        rules = self._settings.of(template.name)
        guesses = self._guesses(template)
        key = _guesser(question)
        guesses.check(key)
        verdict = self._verdict(question, rules)
        if isinstance(verdict, Refused):
            if verdict.guess and question.csr.challenge_password:
                guesses.failed(key)
            _log.info("challenge refused", extra={"template": template.name, "reason": verdict.why})
            raise NotAuthenticated(verdict.why)
        return verdict

    def check_address(self, template: Template, address: str | None) -> None:
        """See the protocol."""
        AddressList(self._settings.of(template.name).networks).check(address)

    def settled(
        self, question: ChallengeQuestion, outcome: Issued | Pending | PikaserverError
    ) -> None:
        """See the protocol.

        Guesses are forgotten no earlier than here: a challenge that is spent is known all the
        same, and would let its owner guess at the other methods for ever.
        """
        if isinstance(outcome, Issued | Pending) and question.csr.challenge_password:
            try:
                self._guesses(question.template).succeeded(_guesser(question))
            except PikaserverError as error:
                _log.warning("guesses not forgotten", extra={"error": str(error)})
        for name in _names(self._settings.of(question.template.name)):
            if name in self._listening:
                try:
                    self._listening[name].settled(question, outcome)
                except PikaserverError as error:
                    _log.warning("outcome not noted", extra={"method": name, "error": str(error)})

    def _guesses(self, template: Template) -> Lockout:
        return self._lockouts.named("scep-challenge", self._settings.of(template.name).guesses)

    def _verdict(
        self, question: ChallengeQuestion, rules: TemplateChallenges
    ) -> Accepted | Postponed | Refused:
        """Return what the first method says that knows the password."""
        for name in _names(rules):
            verdict: Verdict = self._methods[name].check(question)
            if not isinstance(verdict, NotMine):
                return verdict
        return _WRONG if question.csr.challenge_password else Refused(_NONE, guess=False)


def _guesser(question: ChallengeQuestion) -> str:
    return f"{guesser(question.address)} {question.template.name}"


def _names(rules: TemplateChallenges) -> list[str]:
    which = {"intune": rules.intune, "webhook": rules.webhook}
    return [f"{name}/{which[name]}" if name in which else name for name in rules.methods]
