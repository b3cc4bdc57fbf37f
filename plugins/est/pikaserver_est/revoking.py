"""``simplerevoke``: a device revokes its own certificate; an extra door beside RFC 7030."""

from http import HTTPStatus

import falcon

from pikaserver.api.certificates import CertificateRecord, Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, NotAllowed, NotAuthenticated, RequestRejected
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.server import Server
from pikaserver.asn1.serials import write_serial
from pikaserver_est import messages
from pikaserver_est.answers import WrongContentType, answer_text
from pikaserver_est.asking import DOOR, media_type

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
        check_may_revoke(self._server, requester.certificate, target)
        revocation = Revocation(self._server.clock(), reason)
        revoked = self._server.revoke(target, revocation, requester.name)
        text = f"the certificate {write_serial(revoked.serial)} is revoked"
        answer_text(response, HTTPStatus.OK, text)


def check_may_revoke(server: Server, shown: CertificateRecord, target: CertificateRecord) -> None:
    """Return when the holder of one certificate may revoke another one, or the same.

    Raises:
        NotAllowed: the template does not let devices do so, or it is somebody else's.
    """
    if target.template is None:
        raise NotAllowed("the certificate of an authority is not revoked here")
    template = server.templates.get(target.template)
    if DOOR not in template.doors or not template.est.self_revocation:
        raise NotAllowed(f"template {template.name!r} lets nobody revoke by {DOOR}")
    same = (shown.authority, shown.template, shown.subject, shown.names)
    if same == (target.authority, target.template, target.subject, target.names):
        return
    if not may_ask_for_others(shown, template):
        raise NotAllowed("that certificate is somebody else's")


def _reason(request: falcon.Request) -> RevocationReason:
    asked = request.get_param("reason") or RevocationReason.UNSPECIFIED.rfc_name
    if asked not in _REASONS:
        known = ", ".join(_REASONS)
        raise RequestRejected(f"{asked!r} is not a reason that counts here; there are: {known}")
    return _REASONS[asked]


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
