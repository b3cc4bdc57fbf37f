"""What is asked of a challenge method, and what it may answer.

The plugin's operations work with `Challenges` alone::

    verdict = challenges.check(question)      # PKCSReq, and the same again for a CertPoll
    if isinstance(verdict, Postponed):        # keep the request; CertRep PENDING
        ...
    outcome = server.enroll(EnrollmentRequest(..., verdict.requester, approval=verdict.approval))
    challenges.settled(question, outcome)     # or the error that it ended in

`Challenges` is made once by ``pikaserver_scep.challenges.building``.  It asks the
methods of the template in their order: the first one that knows the password decides.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pikaserver.api.errors import PikaserverError
from pikaserver.api.issuance import CertificationRequest, Issued, Pending, Requester
from pikaserver.api.templates import Template

METHOD = "challenge"
"""What templates call every proof of this kind."""


@dataclass(frozen=True, slots=True)
class ChallengeQuestion:
    """May whoever sent this request have a certificate of this template?

    ``csr`` holds the password, or ``None``, in ``challenge_password``.  ``transaction`` is SCEP's
    transactionID.  ``address`` is that of the client, as the listener saw it.
    """

    template: Template
    csr: CertificationRequest
    transaction: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Yes: go down the road as this requester, whose proof is spent with the intent.

    With ``approval`` a person decides, even where the template does not ask for one.
    ``method`` is the name of the challenge method, for logs and figures.
    """

    requester: Requester
    method: str
    approval: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """Nobody can tell now: keep the request and ask again when the client polls.

    The password is needed then, so what is kept of the request is kept sealed.
    ``why`` is a sentence for the operator; ``retry_after`` is in seconds.
    """

    why: str
    retry_after: int = 60


@dataclass(frozen=True, slots=True)
class NotMine:
    """This method does not know the password; another one may."""


@dataclass(frozen=True, slots=True)
class Refused:
    """No: the method knows the password and it does not count, or it decides on its own.

    ``guess`` tells that somebody may be trying passwords.
    """

    why: str = field(default="the challenge password is wrong")
    guess: bool = True


Verdict = Accepted | Postponed | NotMine | Refused


class ChallengeMethod(Protocol):
    """One way to prove the right to ask."""

    @property
    def name(self) -> str:
        """What templates call it: ``static``, ``one-time``, ``ndes``, ``intune`` ..."""
        ...

    def check(self, question: ChallengeQuestion) -> Verdict:
        """Decide; nothing is used up before the intent is stored.

        The same question comes again when a client repeats its message, or polls.
        """
        ...


@runtime_checkable
class OutcomeWanted(Protocol):
    """A method that has to be told how the enrolment ended; Intune wants to know."""

    def settled(
        self, question: ChallengeQuestion, outcome: Issued | Pending | PikaserverError
    ) -> None:
        """Take note, durably and without waiting for anybody; the same may be said twice."""
        ...


class Challenges(Protocol):
    """All methods of all templates, with the limits on guessing: what operations talk to."""

    def check(self, question: ChallengeQuestion) -> Accepted | Postponed:
        """Ask the template's methods.

        Raises:
            NotAuthenticated: no password, or a wrong one; failInfo badRequest.
            NotAllowed: requests from this address are not taken here.
            TooManyRequests: too many wrong passwords came from there.
            Unavailable: the database cannot be asked.
        """
        ...

    def check_address(self, template: Template, address: str | None) -> None:
        """Return when requests for this template are taken from this address.

        To be asked of every PKIOperation, also of those without a challenge.

        Raises:
            NotAllowed: they are not.
        """
        ...

    def settled(
        self, question: ChallengeQuestion, outcome: Issued | Pending | PikaserverError
    ) -> None:
        """Tell how the enrolment ended, or that it waits; the same may be said twice.

        Also when a postponed request is given up.  Never fails.
        """
        ...
