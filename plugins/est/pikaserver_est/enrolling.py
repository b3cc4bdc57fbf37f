"""``simpleenroll`` and ``simplereenroll`` (RFC 7030 section 4.2)."""

from dataclasses import replace

import falcon

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotAllowed, NotAuthenticated, NotFound
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1.names import general_name_text
from pikaserver_est.answers import answer_outcome
from pikaserver_est.asking import read_body, wish
from pikaserver_est.linking import check_linking


class SimpleEnroll:
    """``POST /.well-known/est[/<template>]/simpleenroll`` (RFC 7030 section 4.2.1)."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_post(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Enrol the caller, who shows a code or a certificate, under the label's template."""
        template = self._server.templates.get(label or self._default)
        # A code was sent for this request; a certificate may be shown out of habit.
        requester = self._server.authenticate(request, ("code", "certificate"))
        csr = read_body(request)
        check_linking(request, csr, requester, template)
        outcome = self._server.enroll(wish(request, csr, requester, template.name))
        answer_outcome(request, response, outcome)


class SimpleReenroll:
    """``POST /.well-known/est[/<template>]/simplereenroll`` (RFC 7030 section 4.2.2).

    Without a label it renews under the template that the certificate came from.  A registration
    authority renews what it names by subject and names, under a label.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_post(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Renew the certificate that the caller shows; subject and names stay."""
        if label is not None:
            self._server.templates.get(label)
        requester = self._server.authenticate(request, ("certificate",))
        shown = requester.certificate
        if shown is None:
            raise NotAuthenticated("a certificate is renewed by showing it")
        name = label or shown.template
        if name is None:
            raise NotAllowed("the certificate of an authority is not renewed here")
        template = self._server.templates.get(name)
        csr = read_body(request)
        check_linking(request, csr, requester, template)
        old = shown
        if may_ask_for_others(shown, template):
            old = _newest(self._server, template, csr)
        asked = replace(wish(request, csr, requester, template.name), renews=old)
        answer_outcome(request, response, self._server.enroll(asked))


def _newest(server: Server, template: Template, csr: CertificationRequest) -> CertificateRecord:
    """Return the newest valid certificate of a template for the subject and names of a request.

    Raises:
        NotFound: there is none.
    """
    subject = csr.subject.rfc4514_string()
    names = sorted(general_name_text(name).lower() for name in csr.names)
    query = CertificateQuery(
        subject=subject, template=template.name, status=CertificateStatus.VALID
    )
    for record in server.certificates.find(query):
        if record.subject == subject and sorted(record.names) == names:
            return record
    raise NotFound(f"{subject} has no certificate of template {template.name!r} to be renewed")
