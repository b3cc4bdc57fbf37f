"""Errors in ACME's words: problem documents (RFC 8555 section 6.7, RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

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
from pikaserver_acme.identifiers import Identifier

URN = "urn:ietf:params:acme:error:"
MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, HTTPStatus] = {
    "accountDoesNotExist": HTTPStatus.BAD_REQUEST,
    "alreadyReplaced": HTTPStatus.CONFLICT,
    "alreadyRevoked": HTTPStatus.BAD_REQUEST,
    "autoRenewalCanceled": HTTPStatus.FORBIDDEN,
    "autoRenewalExpired": HTTPStatus.FORBIDDEN,
    "autoRenewalCancellationInvalid": HTTPStatus.BAD_REQUEST,
    "autoRenewalRevocationNotSupported": HTTPStatus.FORBIDDEN,
    "badCSR": HTTPStatus.BAD_REQUEST,
    "badNonce": HTTPStatus.BAD_REQUEST,
    "badPublicKey": HTTPStatus.BAD_REQUEST,
    "badRevocationReason": HTTPStatus.BAD_REQUEST,
    "badSignatureAlgorithm": HTTPStatus.BAD_REQUEST,
    "caa": HTTPStatus.FORBIDDEN,
    "compound": HTTPStatus.FORBIDDEN,
    "conflict": HTTPStatus.CONFLICT,
    "externalAccountRequired": HTTPStatus.FORBIDDEN,
    "invalidContact": HTTPStatus.BAD_REQUEST,
    "invalidProfile": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
    "orderNotReady": HTTPStatus.FORBIDDEN,
    "rateLimited": HTTPStatus.TOO_MANY_REQUESTS,
    "rejectedIdentifier": HTTPStatus.FORBIDDEN,
    "serverInternal": HTTPStatus.INTERNAL_SERVER_ERROR,
    "unauthorized": HTTPStatus.FORBIDDEN,
    "unsupportedContact": HTTPStatus.BAD_REQUEST,
    "unsupportedIdentifier": HTTPStatus.BAD_REQUEST,
    "userActionRequired": HTTPStatus.FORBIDDEN,
}
"""The usual status of each type; all others (``dns``, ``tls`` ...) come in objects only."""


@dataclass(frozen=True, slots=True)
class Subproblem:
    """What is wrong with one identifier of several (RFC 8555 section 6.7.1)."""

    kind: str
    detail: str
    identifier: Identifier

    def document(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "type": URN + self.kind,
            "detail": self.detail,
            "identifier": self.identifier.document(),
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document; ``kind`` is the last word of its type."""

    kind: str
    detail: str
    status: HTTPStatus | None = None
    subproblems: tuple[Subproblem, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Return it for JSON."""
        status = self.status or STATUS.get(self.kind, HTTPStatus.FORBIDDEN)
        members: dict[str, object] = {
            "type": URN + self.kind,
            "detail": self.detail,
            "status": status.value,
            **self.extra,
        }
        if self.subproblems:
            members["subproblems"] = [one.document() for one in self.subproblems]
        return members

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps(self.document())


class AcmeError(RequestRejected):
    """Refused in ACME's words; ``headers`` go out beside the problem."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: HTTPStatus | None = None,
        subproblems: Sequence[Subproblem] = (),
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, detail, status, tuple(subproblems), extra or {})
        self.headers = dict(headers or {})


_KINDS: Mapping[type[PikaserverError], tuple[str, HTTPStatus]] = {
    MalformedRequest: ("malformed", HTTPStatus.BAD_REQUEST),
    NotAuthenticated: ("unauthorized", HTTPStatus.FORBIDDEN),
    NotAllowed: ("unauthorized", HTTPStatus.FORBIDDEN),
    RequestRejected: ("badCSR", HTTPStatus.FORBIDDEN),
    NotFound: ("malformed", HTTPStatus.NOT_FOUND),
    Conflict: ("conflict", HTTPStatus.CONFLICT),
    TooLarge: ("malformed", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    TooManyRequests: ("rateLimited", HTTPStatus.TOO_MANY_REQUESTS),
    Unavailable: ("serverInternal", HTTPStatus.SERVICE_UNAVAILABLE),
}


def problem_of(error: PikaserverError) -> Problem:
    """Return an error of the house as ACME says it; what is our own fault stays unsaid."""
    if isinstance(error, AcmeError):
        return error.problem
    if isinstance(error, HttpRefused):
        return Problem("malformed", _misdirected(error), HTTPStatus(error.status))
    for kind in type(error).__mro__:
        if kind in _KINDS:
            word, status = _KINDS[kind]
            return Problem(word, str(error), status)
    return Problem("serverInternal", "something went wrong here; try again later")


def _misdirected(error: HttpRefused) -> str:
    told = {
        HTTPStatus.NOT_FOUND: "there is nothing here; the directory names what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: "this method is not taken here; see Allow",
    }
    return told.get(HTTPStatus(error.status), str(error))
