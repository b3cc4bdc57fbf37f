"""Authorizations and challenges over HTTP (RFC 8555 section 7.5), and newAuthz."""

import falcon

from pikaserver_acme import messages
from pikaserver_acme.jose.json_text import malformed, text_of
from pikaserver_acme.moments import stored
from pikaserver_acme.office import Office
from pikaserver_acme.records import Authorization, Challenge, Status
from pikaserver_acme.resources.door import Call
from pikaserver_acme.resources.signed import SignedOnly

RETRY_AFTER = "2"
"""Seconds after which a client asks again what came of its challenge."""


class _ProofAnswers:
    """Writes authorizations and challenges."""

    def __init__(self, office: Office) -> None:
        self.door = office.door
        self._office = office

    def authorization(self, call: Call, found: Authorization) -> messages.Document:
        """Return an authorization; of its challenges all, or the one that counted."""
        challenges = self._office.proving.challenges(found)
        if found.status is not Status.PENDING:
            challenges = [one for one in challenges if one.status is not Status.PENDING]
        documents = [self.challenge(call, one) for one in challenges]
        return messages.authorization(found, documents, stored(self._office.server.clock()))

    def challenge(self, call: Call, found: Challenge) -> messages.Document:
        """Return a challenge with what was tried."""
        attempts = [] if found.begun_at is None else self._office.proving.attempts(found.id)
        return messages.challenge(found, call.places, attempts, call.policy.rules)


class NewAuthorization(SignedOnly):
    """``POST new-authz`` (RFC 8555 section 7.4.1, RFC 9444)."""

    def __init__(self, office: Office) -> None:
        self._answers = _ProofAnswers(office)
        self._ordering = office.ordering

    def on_post(self, request: falcon.Request, response: falcon.Response, policy: str) -> None:
        """Say what has to be proved, before anything is ordered."""
        call = self._answers.door.by_account(request, response, policy)
        found, made = self._ordering.authorize(call.policy, call.holder, call.document)
        url = call.places.authorization(found.id)
        document = self._answers.authorization(call, found)
        self._answers.door.answer(response, document, created=url if made else None)
        response.set_header("Location", url)


class OneAuthorization(SignedOnly):
    """``POST authorization/<number>``."""

    def __init__(self, office: Office) -> None:
        self._answers = _ProofAnswers(office)
        self._proving = office.proving

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Answer how far an authorization is, or give it up (section 7.5.2)."""
        call = self._answers.door.by_account(request, response, policy)
        found = self._proving.authorization(call.holder, number)
        if call.payload:
            if text_of(call.document, "status") != Status.DEACTIVATED:
                raise malformed("an authorization's status can be changed to deactivated only")
            found = self._proving.deactivate(found)
        self._answers.door.answer(response, self._answers.authorization(call, found))
        if found.status is Status.PENDING:
            response.set_header("Retry-After", RETRY_AFTER)


class OneChallenge(SignedOnly):
    """``POST challenge/<number>`` (RFC 8555 section 7.5.1)."""

    def __init__(self, office: Office) -> None:
        self._answers = _ProofAnswers(office)
        self._proving = office.proving
        self._validators = office.validators

    def on_post(
        self, request: falcon.Request, response: falcon.Response, policy: str, number: int
    ) -> None:
        """Answer a challenge; with a payload, the client is ready for it."""
        call = self._answers.door.by_account(request, response, policy)
        found, authorization = self._proving.challenge(call.holder, number)
        # An empty payload only asks; the object, even {}, says that the client is ready.
        if call.payload and call.document is not None:
            if self._proving.begin(found, authorization, call.payload):
                self._validators.begin(found.id)
            found, authorization = self._proving.challenge(call.holder, number)
        document = self._answers.challenge(call, found)
        up = {"up": call.places.authorization(authorization.id)}
        self._answers.door.answer(response, document, links=up)
        if found.status is Status.PROCESSING:
            response.set_header("Retry-After", RETRY_AFTER)
