"""What surrounds every request: its id, its service, its errors, its line in the log."""

import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus
from io import BytesIO

import falcon

from pikaserver.api.errors import HttpRefused, NotAllowed, PikaserverError, TooLarge
from pikaserver.api.operations import Entropy
from pikaserver.api.web import CONNECTION_KEY, ClientConnection, Security, Service
from pikaserver.web.problems import MEDIA_TYPE, Problem, problem_of, retry_after

REQUEST_ID: ContextVar[str | None] = ContextVar("pikaserver_request_id", default=None)
"""For the formatter of logs only: the request on which this thread works."""

REQUEST_ID_OCTETS = 12

LARGE_ANSWER_OCTETS = 256 * 1024
"""A larger answer (a CRL) is sent from where it is; waitress would copy it to a disk."""

DEFAULT_HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Sent where the resource does not say otherwise."""

HEADERS_OF_SUCCESS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "etag",
    "expires",
    "last-modified",
)
"""What a resource may have set before it failed; an error must not be cached or saved by it."""


class Boundary:
    """What surrounds every request: its id, its service, its errors, its line in the log."""

    def __init__(
        self, templates: Mapping[str, Service], entropy: Entropy, logger: logging.Logger
    ) -> None:
        self._templates = templates
        self._based = [
            (f"{one.base_path}/", one)
            for one in {each.name: each for each in templates.values()}.values()
            if one.base_path is not None
        ]
        self._entropy = entropy
        self._logger = logger

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give the request its id."""
        request.context.started = time.monotonic()
        request.context.request_id = self._entropy(REQUEST_ID_OCTETS).hex()
        request.context.service = None
        request.context.why = None
        REQUEST_ID.set(request.context.request_id)

    def process_resource(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        params: Mapping[str, object],
    ) -> None:
        """Refuse what the service must not see: a plain line, or too many octets.

        Raises:
            NotAllowed: the service needs TLS and the caller came without.
            TooLarge: the body has more octets than the service takes.
        """
        service = self._templates[request.uri_template or ""]
        request.context.service = service
        if service.security is Security.TLS and not _is_protected(request):
            raise NotAllowed("this address is served over TLS only")
        if (request.content_length or 0) > service.body_limit_octets:
            raise TooLarge(f"the body may have {service.body_limit_octets} octets at most")

    def process_response(
        self,
        request: falcon.Request,
        response: falcon.Response,
        resource: object,
        succeeded: bool,  # noqa: FBT001  # Falcon's signature
    ) -> None:
        """Complete the headers and write one line of log."""
        data = response.data
        if data is not None and len(data) > LARGE_ANSWER_OCTETS:
            response.data = None
            response.set_stream(BytesIO(data), len(data))
        for name, value in DEFAULT_HEADERS.items():
            if response.get_header(name) is None:
                response.set_header(name, value)
        context = request.context
        if "request_id" not in context:
            # Falcon refuses its own meta methods before any middleware ran.
            self.process_request(request, response)
        response.set_header("x-request-id", context.request_id)
        self._logger.info(
            "request",
            extra={
                "event": "request",
                "request_id": context.request_id,
                "service": context.service.name if context.service else None,
                "method": request.method,
                # The template, not the path: what a client wrote stays out of the log.
                "route": request.uri_template,
                "client": request.remote_addr,
                "status": response.status_code,
                "why": context.why,
                "duration_ms": round((time.monotonic() - context.started) * 1000, 3),
            },
        )
        REQUEST_ID.set(None)

    def answer_error(
        self,
        request: falcon.Request,
        response: falcon.Response,
        error: PikaserverError,
        params: Mapping[str, object],
    ) -> None:
        """Let the service say it in its protocol's words, else as a problem."""
        _forget_success(response)
        request.context.why = f"{type(error).__name__}: {error}"
        problem = problem_of(error)
        if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self._log_fault(request, error)
        seconds = retry_after(error)
        if seconds is not None:
            response.set_header("retry-after", str(seconds))
        self._say(request, response, error, problem)

    def answer_unexpected(
        self,
        request: falcon.Request,
        response: falcon.Response,
        error: Exception,
        params: Mapping[str, object],
    ) -> None:
        """Answer what nobody foresaw."""
        _forget_success(response)
        self._log_fault(request, error)
        unsaid = PikaserverError("something went wrong here")
        self._say(request, response, unsaid, Problem(HTTPStatus.INTERNAL_SERVER_ERROR))

    def write_http_error(
        self, request: falcon.Request, response: falcon.Response, error: falcon.HTTPError
    ) -> None:
        """Write Falcon's own errors (404, 405, 415 ...) as problems, or as their service does."""
        _forget_success(response)
        problem = Problem(HTTPStatus(error.status_code), error.description)
        owner = next(
            (one for base, one in self._based if f"{request.path}/".startswith(base)), None
        )
        if owner is None or "request_id" not in request.context:
            response.content_type = MEDIA_TYPE
            response.data = problem.document(request.context.get("request_id"))
            return
        request.context.service = owner
        refused = HttpRefused(error.description or problem.title, error.status_code)
        self._say(request, response, refused, problem)

    def _say(
        self,
        request: falcon.Request,
        response: falcon.Response,
        error: PikaserverError,
        problem: Problem,
    ) -> None:
        """Let the service that was asked say it; without one, or where it will not: a problem."""
        service = request.context.service
        if service is None or service.answer_error is None:
            problem.write(response, request.context.request_id)
            return
        try:
            service.answer_error(request, response, error)
        except (falcon.HTTPError, falcon.HTTPStatus):
            raise
        except Exception as second:  # noqa: BLE001  # the request boundary
            if second is not error:
                self._log_fault(request, second)
                problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR)
            problem.write(response, request.context.request_id)

    def _log_fault(self, request: falcon.Request, error: Exception) -> None:
        """Keep the traceback of what is our own fault: in the log and nowhere else."""
        self._logger.error(
            "request failed",
            exc_info=error,
            extra={"event": "request-failed", "request_id": request.context.request_id},
        )


def _is_protected(request: falcon.Request) -> bool:
    connection = request.env.get(CONNECTION_KEY)
    return isinstance(connection, ClientConnection) and connection.tls is not None


def _forget_success(response: falcon.Response) -> None:
    response.stream = None
    for name in HEADERS_OF_SUCCESS:
        response.delete_header(name)
