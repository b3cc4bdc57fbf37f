"""OCSP over HTTP (RFC 6960 appendix A): POST, and GET with the request in the path."""

from datetime import datetime

import falcon

from pikaserver.api.errors import PikaserverError
from pikaserver.api.operations import Clock
from pikaserver.api.web import client_connection
from pikaserver.asn1.ocsp_requests import LIMIT_OCTETS
from pikaserver_ocsp import caching
from pikaserver_ocsp.door import Door
from pikaserver_ocsp.responder import Answer, Responder

CONTENT_TYPE = "application/ocsp-response"


class OcspResource:
    """``/ocsp`` and what is below: an authority's name, a request in base64, or both."""

    def __init__(self, door: Door, responder: Responder, clock: Clock) -> None:
        self._door = door
        self._responder = responder
        self._clock = clock

    def on_post(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer the request in the body."""
        body = request.bounded_stream.read(LIMIT_OCTETS + 1)
        _write(response, self._door.post(rest, body, _address(request)))

    def on_get(self, request: falcon.Request, response: falcon.Response, rest: str = "") -> None:
        """Answer the request in the path; caches may keep what is the same for everybody."""
        answer = self._door.get(rest, _address(request))
        kept, now = answer.kept, self._clock()
        if kept is None:
            _write(response, answer)
            return
        max_age = self._responder.settings.terms(answer.authority).max_age
        for name, value in caching.headers(kept, now, max_age):
            response.set_header(name, value)
        tags = request.if_none_match
        known = None if tags is None else [str(tag) for tag in tags]
        if caching.is_known(kept, now, known, _since(request)):
            response.status = falcon.HTTP_NOT_MODIFIED
        else:
            _write(response, answer)


class Errors:
    """Says in OCSP's words what the application refuses, such as a body that is too large."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    def __call__(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``."""
        _write(response, self._responder.error(error))


def _write(response: falcon.Response, answer: Answer) -> None:
    """Write an answer; an error of OCSP is a success of HTTP."""
    response.status = falcon.HTTP_OK
    response.content_type = CONTENT_TYPE
    response.data = answer.octets


def _address(request: falcon.Request) -> str:
    return client_connection(request).address


def _since(request: falcon.Request) -> datetime | None:
    try:
        return request.if_modified_since
    except falcon.HTTPInvalidHeader:
        return None  # RFC 9110 section 13.1.3: a date that cannot be read is passed over.
