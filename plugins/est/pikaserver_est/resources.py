"""What EST tells over HTTP: CA certificates, CSR attributes, and when to renew."""

import falcon

from pikaserver.api.errors import NotAuthenticated
from pikaserver.api.renewal import renewal_info
from pikaserver.api.server import Server
from pikaserver_est import messages
from pikaserver_est.answers import answer_base64, answer_certificates
from pikaserver_est.asking import DOOR, open_template
from pikaserver_est.csr_attributes import csr_attributes
from pikaserver_est.trust import ca_certificates


class CaCertificates:
    """``GET /.well-known/est[/<template>]/cacerts`` (RFC 7030 section 4.1)."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_get(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer the certificates of the template's authority; nobody has to say who asks."""
        template = open_template(self._server, label or self._default)
        certificates = ca_certificates(
            self._server.authorities, template.authority, self._server.clock()
        )
        answer_certificates(request, response, *certificates)


class CsrAttributes:
    """``GET /.well-known/est[/<template>]/csrattrs`` (RFC 7030 section 4.5, RFC 9908)."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_get(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer what a CSR for this template should have in it."""
        template = open_template(self._server, label or self._default)
        attributes = csr_attributes(template)
        if attributes is None:
            response.status = falcon.HTTP_NO_CONTENT
            return
        answer_base64(request, response, messages.ATTRIBUTES_TYPE, attributes)


class RenewalInfo:
    """``GET /.well-known/est/renewal``: when the certificate that is shown should be renewed."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer in the JSON of RFC 9773, and note that the device was here."""
        if label is not None:
            open_template(self._server, label)
        certificate = self._server.authenticate(request, ("certificate",)).certificate
        if certificate is None:
            raise NotAuthenticated("whoever asks for its own certificate shows it")
        self._server.devices.met(certificate, DOOR)
        window = self._server.renewals.window(certificate)
        response.media = renewal_info(window)
        response.set_header("Retry-After", str(window.retry_after))
        response.set_header("Cache-Control", "no-store")
