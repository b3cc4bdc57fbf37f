"""Errors as problem details (RFC 9457), for every door that has no words of its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import falcon

from pikaserver.api.errors import (
    Conflict,
    Decision,
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

STATUS: Mapping[type[PikaserverError], HTTPStatus] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    RequestRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The family of errors in HTTP's words; whatever is not named here is our own fault: 500."""

TYPES: Mapping[type[PikaserverError], str] = {
    MalformedRequest: "malformed-request",
    NotAuthenticated: "not-authenticated",
    NotAllowed: "not-allowed",
    RequestRejected: "request-rejected",
    NotFound: "not-found",
    Conflict: "conflict",
    TooLarge: "too-large",
    TooManyRequests: "too-many-requests",
    Unavailable: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document.  Without ``type`` the status says it all (``about:blank``)."""

    status: HTTPStatus
    detail: str | None = None
    type: str = "about:blank"
    trace: tuple[Decision, ...] = ()

    @property
    def title(self) -> str:
        """HTTP's own phrase, as RFC 9457 section 4.2.1 asks for ``about:blank``."""
        return self.status.phrase

    def document(self, request_id: str | None) -> bytes:
        """Return the problem as JSON; the request's id leads an operator to the log."""
        members: dict[str, object] = {
            "type": self.type,
            "title": self.title,
            "status": self.status.value,
        }
        if self.detail:
            members["detail"] = self.detail
        if request_id:
            members["instance"] = f"urn:pikaserver:request:{request_id}"
            members["request_id"] = request_id
        if self.trace:
            members["trace"] = [
                {"rule": line.rule, "asked": line.asked, "allowed": line.allowed, "why": line.why}
                for line in self.trace
            ]
        return json.dumps(members).encode()

    def write(self, response: falcon.Response, request_id: str | None) -> None:
        """Make the problem the answer."""
        response.status = falcon.code_to_http_status(self.status.value)
        response.content_type = MEDIA_TYPE
        response.data = self.document(request_id)


def problem_of(error: PikaserverError) -> Problem:
    """Translate one of the family.

    The texts of the family are written for the person who asked; those of our own faults
    (500) are for the log only.
    """
    kind = next((known for known in STATUS if isinstance(error, known)), None)
    if kind is None:
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR)
    trace = error.trace if isinstance(error, RequestRejected) else ()
    return Problem(STATUS[kind], str(error) or None, f"urn:pikaserver:problem:{TYPES[kind]}", trace)


def retry_after(error: Exception) -> int | None:
    """Return after how many seconds it may be asked again, where the error says so."""
    if isinstance(error, TooManyRequests | Unavailable):
        return error.retry_after
    return None
