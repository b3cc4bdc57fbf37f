"""What came of a full request, gathered: outcomes, what goes along, and why something failed."""

from dataclasses import dataclass, field
from http import HTTPStatus

from pikaserver.api.errors import (
    AlgorithmRefused,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    SignatureFaulty,
    Unavailable,
)
from pikaserver.asn1.cmc import FailInfo, Outcome, Status
from pikaserver_est.answers import status_of
from pikaserver_est.cmc_deeds import Done
from pikaserver_est.cmc_signers import SignatureRefused
from pikaserver_est.kem_challenges import PossessionRequired

_WHOLE_MESSAGE = 0

FAIL_INFO: dict[type[PikaserverError], FailInfo] = {
    SignatureRefused: FailInfo.BAD_MESSAGE_CHECK,
    AlgorithmRefused: FailInfo.BAD_ALG,
    NotAuthenticated: FailInfo.BAD_IDENTITY,
    NotAllowed: FailInfo.BAD_IDENTITY,
    NotFound: FailInfo.BAD_CERT_ID,
    Unavailable: FailInfo.TRY_LATER,
    SignatureFaulty: FailInfo.INTERNAL_CA_ERROR,
}
"""CMC's word for each error; all others are bad requests."""


class PossessionNotProved(MalformedRequest):
    """A request is not signed by the key that it names."""


@dataclass(slots=True)
class Answer:
    """What is answered: outcomes, and what goes along with them."""

    outcomes: list[Outcome] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list)
    crls: list[bytes] = field(default_factory=list)
    errors: list[PikaserverError] = field(default_factory=list)
    challenges: list[bytes] = field(default_factory=list)
    retry_after: int | None = None

    def add(self, done: Done) -> None:
        """Take in what came of a body part."""
        self.outcomes.append(done.outcome)
        self.certificates += [one for one in done.certificates if one not in self.certificates]
        self.crls += done.crls
        self.retry_after = done.retry_after or self.retry_after

    def fail(self, error: PikaserverError, *body_parts: int) -> None:
        """Take in why a body part, or the whole message, was refused."""
        fail_info = next(
            (FAIL_INFO[kind] for kind in type(error).__mro__ if kind in FAIL_INFO),
            FailInfo.BAD_REQUEST,
        )
        if isinstance(error, PossessionNotProved):
            fail_info = FailInfo.POP_FAILED
        if isinstance(error, PossessionRequired):
            fail_info = FailInfo.POP_REQUIRED
        # Our own faults are not told.
        text = None if status_of(error) is None else str(error)
        parts = body_parts or (_WHOLE_MESSAGE,)
        self.outcomes.append(Outcome(Status.FAILED, parts, text, fail_info))
        self.errors.append(error)

    @property
    def status(self) -> HTTPStatus:
        """200 if anything was done, 202 if all waits, else that of the first error."""
        states = {outcome.status for outcome in self.outcomes}
        if Status.SUCCESS in states or not self.outcomes:
            return HTTPStatus.OK
        if Status.PENDING in states:
            return HTTPStatus.ACCEPTED
        return status_of(self.errors[0]) or HTTPStatus.INTERNAL_SERVER_ERROR
