"""EST's answers over HTTP: certificates in base64, sentences, one status for each error."""

from http import HTTPStatus

import falcon

from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from pikaserver.api.issuance import Issued, Pending
from pikaserver_est import messages

_TEXT = "text/plain; charset=utf-8"
_OUR_FAULT = "something went wrong here; nothing was issued"


class WrongContentType(MalformedRequest):
    """The body says that it is something else than what belongs here."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"expected {wanted}, found {found}")
        self.wanted = wanted


STATUS: dict[type[PikaserverError], HTTPStatus] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    # RFC 7030 section 4.2.3 wants any 4xx; clients know what 400 is and not what 422 is.
    RequestRejected: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""EST's word for each error; all others are our own fault."""


def status_of(error: PikaserverError) -> HTTPStatus | None:
    """Return the status of an error, ``None`` where it is our own fault."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)


class ErrorAnswer:
    """Answers errors as EST clients expect them: a sentence for people, and the right status."""

    def __init__(self, realm: str) -> None:
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'

    def __call__(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``; RFC 8951 section 4.1 says: plain text."""
        status = status_of(error)
        if status is None:
            answer_text(response, HTTPStatus.INTERNAL_SERVER_ERROR, _OUR_FAULT)
            return
        answer_text(response, status, str(error))
        if isinstance(error, NotAuthenticated):
            response.set_header("WWW-Authenticate", self._challenge)
        if isinstance(error, WrongContentType):
            response.set_header("Accept", error.wanted)


def answer_outcome(
    request: falcon.Request, response: falcon.Response, outcome: Issued | Pending
) -> None:
    """Answer the certificate alone (RFC 7030 section 4.2.3), or 202 while somebody decides."""
    if isinstance(outcome, Issued):
        answer_certificates(request, response, outcome.certificate)
    else:
        answer_pending(response, outcome)


def answer_pending(response: falcon.Response, pending: Pending) -> None:
    """Answer 202 (RFC 7030 section 4.2.3)."""
    text = f"request {pending.request_id} waits for approval; send it again later"
    answer_text(response, HTTPStatus.ACCEPTED, text)
    response.set_header("Retry-After", str(pending.retry_after))


def answer_certificates(
    request: falcon.Request, response: falcon.Response, *certificates: bytes
) -> None:
    """Answer a certs-only message."""
    message = messages.write_certificates(*certificates)
    answer_base64(request, response, messages.CERTIFICATES_TYPE, message)


def answer_base64(
    request: falcon.Request, response: falcon.Response, content_type: str, octets: bytes
) -> None:
    """Answer octets in the base64 that this client reads."""
    response.content_type = content_type
    # RFC 8951 section 3: to be ignored; clients from before it refuse an answer without.
    response.set_header("Content-Transfer-Encoding", "base64")
    response.data = messages.write_body(octets, request.user_agent or "")


def answer_text(response: falcon.Response, status: HTTPStatus, sentence: str) -> None:
    """Answer a sentence for people."""
    response.status = falcon.code_to_http_status(status.value)
    response.content_type = _TEXT
    # What clients wrote may be quoted in it: nothing that steers a terminal goes back.
    shown = "".join(character if character.isprintable() else "?" for character in sentence)
    response.data = f"{shown}\n".encode()
