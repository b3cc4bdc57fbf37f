"""The question over HTTP, answered in the JSON of ACME's renewal information (RFC 9773)."""

import falcon

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import NotAuthenticated
from pikaserver.api.renewal import renewal_info
from pikaserver.api.server import Server

DOOR = "renewal"


class Window:
    """``GET /renewal/<identifier>``: of any certificate; who has it may know."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        """Answer for RFC 9773's identifier, or for a SHA-256 fingerprint in hex."""
        _answer(self._server, response, self._server.renewals.find(identifier))


class OwnWindow:
    """``GET /renewal``: of the certificate that the caller shows."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer for the client's own certificate, and note that it was here."""
        certificate = self._server.authenticate(request, ("certificate",)).certificate
        if certificate is None:
            raise NotAuthenticated("whoever asks for its own certificate shows it")
        self._server.devices.met(certificate, DOOR)
        _answer(self._server, response, certificate)


def _answer(server: Server, response: falcon.Response, record: CertificateRecord) -> None:
    window = server.renewals.window(record)
    response.media = renewal_info(window)
    response.set_header("Retry-After", str(window.retry_after))
    # A window that was pulled forward must be seen at the next question.
    response.set_header("Cache-Control", "no-store")
