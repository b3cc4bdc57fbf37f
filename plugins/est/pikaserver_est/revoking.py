"""``simplerevoke``: a device revokes its own certificate; an extra door beside RFC 7030."""

from http import HTTPStatus

import falcon

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, NotAuthenticated
from pikaserver.api.self_revocation import check_may_revoke, read_reason
from pikaserver.api.server import Server
from pikaserver.asn1.serials import write_serial
from pikaserver_est import messages
from pikaserver_est.answers import WrongContentType, answer_text
from pikaserver_est.asking import DOOR, media_type


class SimpleRevoke:
    """``POST /.well-known/est/simplerevoke[?reason=keyCompromise]``.

    The body is empty, or a certificate in base64: one that the caller may revoke.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_post(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Revoke the certificate that the caller shows, or names."""
        if label is not None:
            self._server.templates.get(label)
        requester = self._server.authenticate(request, ("certificate",))
        if requester.certificate is None:
            raise NotAuthenticated("a certificate is revoked by showing it")
        reason = _reason(request)
        named = _named(request)
        target = requester.certificate
        if named is not None:
            target = self._server.certificates.by_certificate(named)
        check_may_revoke(self._server, DOOR, requester.certificate, target)
        revocation = Revocation(self._server.clock(), reason)
        revoked = self._server.revoke(target, revocation, requester.name)
        text = f"the certificate {write_serial(revoked.serial)} is revoked"
        answer_text(response, HTTPStatus.OK, text)


def _reason(request: falcon.Request) -> RevocationReason:
    return read_reason(request.get_param("reason") or RevocationReason.UNSPECIFIED.rfc_name)


def _named(request: falcon.Request) -> bytes | None:
    """Return the certificate in the body, DER; ``None`` where it is empty.

    Raises:
        WrongContentType: the body says that it is something else.
        MalformedRequest: it is no certificate.
    """
    body = request.bounded_stream.read()
    if not body.strip():
        return None
    found = media_type(request, messages.CERTIFICATE_TYPE)
    if found != messages.CERTIFICATE_TYPE:
        raise WrongContentType(messages.CERTIFICATE_TYPE, found)
    certificates = messages.read_certificates_of(body)
    if len(certificates) != 1:
        raise MalformedRequest(f"expected one certificate, found {len(certificates)}")
    return certificates[0]
