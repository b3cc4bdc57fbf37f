"""Errors as problem details (RFC 9457); each kind has an address, and a sentence there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import falcon

from pikaserver.api.errors import (
    Conflict,
    HttpRefused,
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

MEDIA_TYPE = "application/problem+json"
PATH = "/api/v1/problems"
_CHALLENGE = 'Basic realm="pikaserver", charset="UTF-8"'


class NotAcceptable(MalformedRequest):
    """The caller accepts nothing of what there is."""


class WrongContentType(MalformedRequest):
    """The body says that it is something else than what belongs here."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"expected {wanted}, found {found or 'no Content-Type'}")
        self.wanted = wanted


class KeyReused(RequestRejected):
    """The idempotency key came with another request before."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: the end of its address, its status, a title, and what to do."""

    name: str
    status: HTTPStatus
    title: str
    advice: str


def _kind(name: str, status: HTTPStatus, title: str, advice: str) -> Kind:
    return Kind(name, status, title, advice)


INTERNAL = _kind(
    "internal",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something went wrong here",
    "Nothing was handed out. The server's log has the cause under the request_id.",
)
_NO_PATH = _kind(
    "not-found",
    HTTPStatus.NOT_FOUND,
    "There is no such thing",
    "The path is unknown, or the object is not there, or not yours to see.",
)
OF_ERRORS: Mapping[type[PikaserverError], Kind] = {
    WrongContentType: _kind(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is of another type",
        "Send the Content-Type that the description of the operation names.",
    ),
    NotAcceptable: _kind(
        "not-acceptable",
        HTTPStatus.NOT_ACCEPTABLE,
        "There is no such form of the answer",
        "Accept one of the types that the detail names, or leave the header out.",
    ),
    MalformedRequest: _kind(
        "malformed-request",
        HTTPStatus.BAD_REQUEST,
        "The request cannot be read",
        "The detail says what was expected; the same request will fail again.",
    ),
    NotAuthenticated: _kind(
        "not-authenticated",
        HTTPStatus.UNAUTHORIZED,
        "The credential is missing, wrong or spent",
        "Show a client certificate of this server, or an enrolment code by HTTP Basic.",
    ),
    NotAllowed: _kind(
        "not-allowed",
        HTTPStatus.FORBIDDEN,
        "The credential gives no right to this",
        "The caller is known; another template, or another certificate, is what it is good for.",
    ),
    KeyReused: _kind(
        "idempotency-key-reused",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The idempotency key stands for another request",
        "A key belongs to one request for 24 hours; take a new one for something else.",
    ),
    RequestRejected: _kind(
        "request-rejected",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "A rule refused the request",
        "The decisions tell rule by rule what was asked and why it was refused.",
    ),
    NotFound: _NO_PATH,
    Conflict: _kind(
        "conflict",
        HTTPStatus.CONFLICT,
        "The state of the object does not allow this",
        "Look at the object again; it is revoked, expired or decided on.",
    ),
    TooLarge: _kind(
        "too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is too large",
        "A request holds one certificate request, or two for a pair.",
    ),
    TooManyRequests: _kind(
        "too-many-requests",
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many attempts",
        "Ask again after the seconds in Retry-After.",
    ),
    Unavailable: _kind(
        "unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "It cannot be done now",
        "Send the very same request again after the seconds in Retry-After.",
    ),
}
"""The family of errors in this door's words; what is not named here is our own fault."""

_OF_HTTP = {
    HTTPStatus.NOT_FOUND: _NO_PATH,
    HTTPStatus.METHOD_NOT_ALLOWED: _kind(
        "method-not-allowed",
        HTTPStatus.METHOD_NOT_ALLOWED,
        "The path does not take this method",
        "The header Allow names those that it takes.",
    ),
}
KINDS: Mapping[str, Kind] = {
    one.name: one for one in (*OF_ERRORS.values(), *_OF_HTTP.values(), INTERNAL)
}
"""All kinds by their names."""


def kind_of(error: PikaserverError) -> Kind:
    """Return the kind of an error; what HTTP refused without a kind of its own is malformed."""
    if isinstance(error, HttpRefused):
        status = HTTPStatus(error.status)
        return _OF_HTTP.get(status, OF_ERRORS[MalformedRequest])
    found = (OF_ERRORS[one] for one in type(error).__mro__ if one in OF_ERRORS)
    return next(found, INTERNAL)


def answer_error(
    request: falcon.Request, response: falcon.Response, error: PikaserverError
) -> None:
    """See ``pikaserver.api.web.AnswerError``."""
    kind = kind_of(error)
    document: dict[str, object] = {
        "type": f"{PATH}/{kind.name}",
        "title": kind.title,
        "status": kind.status.value,
    }
    if kind is not INTERNAL and str(error):
        document["detail"] = str(error)
    request_id = request.context.get("request_id")
    if request_id:
        document["instance"] = f"urn:pikaserver:request:{request_id}"
        document["request_id"] = request_id
    if isinstance(error, RequestRejected) and error.trace:
        document["decisions"] = [
            {"rule": line.rule, "asked": line.asked, "allowed": line.allowed, "why": line.why}
            for line in error.trace
        ]
    if isinstance(error, NotAuthenticated):
        response.set_header("WWW-Authenticate", _CHALLENGE)
    if isinstance(error, WrongContentType):
        response.set_header("Accept", error.wanted)
    response.status = falcon.code_to_http_status(kind.status.value)
    response.content_type = MEDIA_TYPE
    response.data = json.dumps(document).encode("ascii")


class ProblemPage:
    """``GET /api/v1/problems/<name>``: what a kind of problem means, as text for people."""

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer title and advice."""
        kind = KINDS.get(name)
        if kind is None:
            raise NotFound("there is no such kind of problem")
        response.content_type = falcon.MEDIA_TEXT
        response.text = f"{kind.title} ({kind.status.value})\n\n{kind.advice}\n"
