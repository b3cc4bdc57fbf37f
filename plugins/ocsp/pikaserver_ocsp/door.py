"""From what came over HTTP to an answer, however it came: by a route or by the shortcut."""

import logging

from pikaserver.api.errors import NotFound, PikaserverError
from pikaserver_ocsp import messages
from pikaserver_ocsp.issuers import Issuers
from pikaserver_ocsp.messages import Asked
from pikaserver_ocsp.responder import Answer, Responder

_log = logging.getLogger(__name__)


class Door:
    """Finds the request in path or body, and whom it is for."""

    def __init__(self, responder: Responder, issuers: Issuers) -> None:
        self._responder = responder
        self._issuers = issuers

    def get(self, rest: str, address: str) -> Answer:
        """Answer the request in what follows ``/ocsp`` in the path."""
        try:
            asked = messages.read_get(rest, self._issuers.has)
        except PikaserverError as error:
            return self._responder.error(error)
        return self._answer(asked, address)

    def post(self, rest: str, body: bytes, address: str) -> Answer:
        """Answer the request in the body; an authority may follow ``/ocsp`` in the path."""
        authority = rest.strip("/") or None
        if authority is not None and not self._issuers.has(authority):
            return self._responder.error(NotFound("there is no authority of that name"))
        return self._answer(Asked(body, authority), address)

    def _answer(self, asked: Asked, address: str) -> Answer:
        answer = self._responder.answer(asked.octets, asked.authority, address)
        if _log.isEnabledFor(logging.DEBUG):
            fields = {"event": "ocsp.answered", "client": address, "kept": answer.kept is not None}
            _log.debug("answered", extra=fields)
        return answer
