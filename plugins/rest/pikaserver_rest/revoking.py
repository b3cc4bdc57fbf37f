"""A holder revokes the own certificate."""

import falcon

from pikaserver.api.certificates import CertificateRecord, Revocation, RevocationReason
from pikaserver.api.errors import NotAllowed, NotAuthenticated, RequestRejected
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.server import Server
from pikaserver_rest.answers import answer
from pikaserver_rest.bodies import RevocationWish, read_body
from pikaserver_rest.finding import find_certificate
from pikaserver_rest.issuing import DOOR
from pikaserver_rest.queries import read_query
from pikaserver_rest.records import certificate_document
from pikaserver_rest.wishes import JSON, check_type

_REASONS = {
    reason.rfc_name: reason
    for reason in (
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
    )
}
"""What somebody may say of the own certificate; a hold is for people, who can release it."""


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
        reason = _reason(read_body(request.bounded_stream.read(), RevocationWish))
        if requester.certificate is None:
            raise NotAuthenticated("a certificate is revoked by showing it")
        target = find_certificate(self._server, identifier)
        _check_may_revoke(self._server, requester.certificate, target)
        revocation = Revocation(self._server.clock(), reason)
        revoked = self._server.revoke(target, revocation, requester.name)
        answer(response, certificate_document(self._server, revoked))


def _reason(body: RevocationWish) -> RevocationReason:
    if body.reason not in _REASONS:
        known = ", ".join(_REASONS)
        raise RequestRejected(f"that is not a reason that counts here; there are: {known}")
    return _REASONS[body.reason]


def _check_may_revoke(server: Server, shown: CertificateRecord, target: CertificateRecord) -> None:
    """Return when the holder of one certificate may revoke another one, or the same.

    Raises:
        NotAllowed: the template does not let devices do so, or it is somebody else's.
    """
    if target.template is None:
        raise NotAllowed("the certificate of an authority is not revoked here")
    template = server.templates.get(target.template)
    if DOOR not in template.doors or not template.est.self_revocation:
        raise NotAllowed(f"template {template.name!r} lets nobody revoke by {DOOR}")
    if not _is_of_same_holder(shown, target) and not may_ask_for_others(shown, template):
        raise NotAllowed("that certificate is somebody else's")


def _is_of_same_holder(one: CertificateRecord, other: CertificateRecord) -> bool:
    """Tell whether two certificates say the same of their holder."""
    same = (one.authority, one.template, one.subject, one.names)
    return same == (other.authority, other.template, other.subject, other.names)
