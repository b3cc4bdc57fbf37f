"""HTTP in, HTTP out (RFC 3161 section 3.4)."""

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock

import falcon

from pikaserver.api.errors import MalformedRequest, NotFound, PikaserverError, TooLarge
from pikaserver.asn1.time_stamp_responses import refused
from pikaserver.asn1.time_stamps import LIMIT_OCTETS, Failure
from pikaserver_tsa import authenticode
from pikaserver_tsa.stamping import Stamper, TimeStampUnit

QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
_LEGACY = "application/octet-stream"
NOBODY = ""
"""Stands for the authority where a request reaches none."""

FAILURES: Mapping[type[PikaserverError], Failure] = {
    MalformedRequest: Failure.BAD_DATA_FORMAT,
    TooLarge: Failure.BAD_DATA_FORMAT,
    NotFound: Failure.BAD_REQUEST,
    PikaserverError: Failure.SYSTEM_FAILURE,
}
"""What is said of requests that never reach a unit."""

FindUnit = Callable[[str | None, str], TimeStampUnit]
"""Finds a unit by authority (``None``: the default one) and its own name ("": the first)."""


class TimeStamps:
    """``/tsa``, ``/tsa/<authority>`` and ``/tsa/<authority>/<unit>``."""

    def __init__(self, stamper: Stamper, find: FindUnit) -> None:
        self._stamper = stamper
        self._find = find
        self._counting = Lock()
        self.answers: Counter[tuple[str, str]] = Counter()
        """How many answers of each kind, by authority and outcome."""

    def on_post(
        self,
        request: falcon.Request,
        response: falcon.Response,
        authority: str | None = None,
        unit: str = "",
    ) -> None:
        """Answer a time-stamp, or a TimeStampResp that says why there is none."""
        found = self._find(authority, unit)
        body = request.bounded_stream.read(LIMIT_OCTETS + 1)
        modern = _media(request) == QUERY or not found.settings.authenticode
        if not modern and authenticode.is_request(body):
            return self._legacy(body, found, response)
        octets, failure = self._stamper.answer(body, found)
        self._reply(response, octets, found.authority, failure)
        return None

    def refuse(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``: to those who speak RFC 3161, in its words."""
        if _media(request) != QUERY:
            raise error
        failure = next(FAILURES[kind] for kind in type(error).__mro__ if kind in FAILURES)
        response.status = falcon.HTTP_OK
        self._reply(response, refused(failure, str(error)), NOBODY, failure)

    def _reply(
        self, response: falcon.Response, octets: bytes, authority: str, failure: Failure | None
    ) -> None:
        outcome = "granted" if failure is None else failure.name.lower().replace("_", "-")
        self._count(authority, outcome)
        response.content_type = REPLY
        response.cache_control = ["no-store"]
        response.data = octets

    def _legacy(self, body: bytes, unit: TimeStampUnit, response: falcon.Response) -> None:
        try:
            response.data = authenticode.answer(body, unit, self._stamper)
        except PikaserverError:
            # The protocol has no words for a refusal; a client takes any other status for one.
            self._count(unit.authority, "authenticode-refused")
            raise
        self._count(unit.authority, "authenticode")
        response.content_type = _LEGACY
        response.cache_control = ["no-store"]

    def _count(self, authority: str, outcome: str) -> None:
        with self._counting:
            self.answers[authority, outcome] += 1


def _media(request: falcon.Request) -> str:
    return (request.content_type or "").partition(";")[0].strip().lower()


def unit_missing(authority: str, unit: str) -> NotFound:
    """Return the error for a unit that the settings do not name."""
    return NotFound(f"authority {authority!r} has no time-stamp unit {unit!r}")
