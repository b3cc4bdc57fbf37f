"""A holder revokes the own certificate."""

import falcon

from pikaserver.api.certificates import Revocation
from pikaserver.api.errors import NotAuthenticated
from pikaserver.api.self_revocation import check_may_revoke, read_reason
from pikaserver.api.server import Server
from pikaserver_rest.answers import answer
from pikaserver_rest.bodies import RevocationWish, read_body
from pikaserver_rest.finding import find_certificate
from pikaserver_rest.issuing import DOOR
from pikaserver_rest.queries import read_query
from pikaserver_rest.records import certificate_document
from pikaserver_rest.wishes import JSON, check_type


class RevocationOfOwn:
    """``POST /api/v1/certificates/<identifier>/revocation``.

    The body has to be JSON: no page in a browser can send such a one across sites unasked, with
    the certificate that the browser shows by itself.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_post(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        """Revoke a certificate for its holder, or for a registration authority."""
        requester = self._server.authenticate(request, ("certificate",))
        read_query(request, ())
        check_type(request, JSON)
        reason = read_reason(read_body(request.bounded_stream.read(), RevocationWish).reason)
        if requester.certificate is None:
            raise NotAuthenticated("a certificate is revoked by showing it")
        target = find_certificate(self._server, identifier)
        check_may_revoke(self._server, DOOR, requester.certificate, target)
        revocation = Revocation(self._server.clock(), reason)
        revoked = self._server.revoke(target, revocation, requester.name)
        answer(response, certificate_document(self._server, revoked))
