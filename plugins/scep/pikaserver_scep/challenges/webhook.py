"""The method ``webhook``: a service of the operator decides on each request."""

import base64
import hashlib
import hmac
import json
import logging

from pikaserver.api.errors import Unavailable
from pikaserver.api.issuance import Requester
from pikaserver.api.operations import Clock
from pikaserver.api.outgoing import Exchange, HttpClient, present_secret
from pikaserver.asn1.names import general_name_text
from pikaserver_scep.challenges.method import (
    METHOD,
    Accepted,
    ChallengeQuestion,
    Postponed,
    Refused,
    Verdict,
)
from pikaserver_scep.challenges.settings import WebhookSettings

JSON = "application/json"
SIGNATURE = "Pikaserver-Signature"
RETRY_AFTER = 60
_LONGEST_REASON = 200
_LONGEST_NAME = 200

_log = logging.getLogger(__name__)


class Webhook:
    """Asks once per request; the answer is ``{"allow": true}`` or ``false``.

    ``"reason"`` goes to the client, ``"approval": true`` lets a person decide, ``"commonName"``
    binds the certificate to one name, ``"guess": true`` counts against guessing.
    """

    name = "webhook"

    def __init__(self, which: str, settings: WebhookSettings, clock: Clock) -> None:
        self._which = which
        self._settings = settings
        self._client = HttpClient(settings.route)
        self._clock = clock

    def check(self, question: ChallengeQuestion) -> Verdict:
        """See ``pikaserver_scep.challenges.method.ChallengeMethod``."""
        try:
            fields = self._answer(question)
        except Unavailable as error:
            _log.warning("webhook", extra={"webhook": self._which, "error": str(error)})
            return Postponed(str(error), RETRY_AFTER)
        # Nothing but the word true lets anybody in.
        if fields.get("allow") is not True:
            reason = fields.get("reason")
            why = reason if isinstance(reason, str) and reason.isprintable() else ""
            guess = fields.get("guess") is True
            return Refused(why[:_LONGEST_REASON] or "the request is refused", guess=guess)
        return self._accepted(question, fields)

    def _answer(self, question: ChallengeQuestion) -> dict[str, object]:
        answer = self._client.ask(self._exchange(question))
        if not answer.ok:
            raise Unavailable(f"the webhook {self._which} answers {answer.status}")
        return answer.json()

    def _accepted(self, question: ChallengeQuestion, fields: dict[str, object]) -> Verdict:
        name = fields.get("commonName")
        if name is not None and not (isinstance(name, str) and 1 <= len(name) <= _LONGEST_NAME):
            return Refused("the webhook's answer cannot be used", guess=False)
        requester = Requester(
            f"{METHOD}:webhook-{self._which}",
            METHOD,
            question.address,
            templates=frozenset({question.template.name}),
            common_name=name,
        )
        return Accepted(requester, self.name, approval=fields.get("approval") is True)

    def _exchange(self, question: ChallengeQuestion) -> Exchange:
        csr = question.csr
        body = json.dumps(
            {
                "template": question.template.name,
                "transactionId": question.transaction,
                "challengePassword": csr.challenge_password,
                "certificateRequest": base64.b64encode(csr.der).decode(),
                "subject": csr.subject.rfc4514_string(),
                "names": [general_name_text(name) for name in csr.names],
                "address": question.address,
            }
        ).encode()
        at = str(int(self._clock().timestamp()))
        secret = present_secret(self._settings.secret_file).encode()
        mac = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": JSON, "Accept": JSON, SIGNATURE: f"t={at},v1={mac}"}
        return Exchange("POST", self._settings.url, headers, body)
