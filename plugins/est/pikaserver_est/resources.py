"""EST over HTTP (RFC 7030): CA certificates, enrolment, re-enrolment, CSR attributes."""

from http import HTTPStatus

import falcon

from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver_est import messages
from pikaserver_est.trust import ca_certificates

DOOR = "est"
"""What templates call this door."""

_TEXT = "text/plain; charset=utf-8"
_OUR_FAULT = "something went wrong here; nothing was issued"


class WrongContentType(MalformedRequest):
    """The body says that it is something else than a CSR."""


STATUS: dict[type[PikaserverError], HTTPStatus] = {
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAllowed: HTTPStatus.FORBIDDEN,
    # RFC 7030 section 4.2.3 wants any 4xx; clients know what 400 is and not what 422 is.
    RequestRejected: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    WrongContentType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""EST's word for each error; all others are our own fault."""


class ErrorAnswer:
    """Answers errors as EST clients expect them: a sentence for people, and the right status."""

    def __init__(self, realm: str) -> None:
        self._challenge = f'Basic realm="{realm}", charset="UTF-8"'

    def __call__(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``; RFC 8951 section 4.1 says: plain text."""
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
        if status is None:
            _answer_text(response, HTTPStatus.INTERNAL_SERVER_ERROR, _OUR_FAULT)
            return
        _answer_text(response, status, str(error))
        if isinstance(error, NotAuthenticated):
            response.set_header("WWW-Authenticate", self._challenge)
        if isinstance(error, WrongContentType):
            response.set_header("Accept", messages.REQUEST_TYPE)


class CaCertificates:
    """``GET /.well-known/est[/<template>]/cacerts`` (RFC 7030 section 4.1)."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_get(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer the certificates of the template's authority; nobody has to say who asks."""
        template = _open_template(self._server, label or self._default)
        certificates = ca_certificates(
            self._server.authorities, template.authority, self._server.clock()
        )
        _answer_certificates(request, response, *certificates)


class CsrAttributes:
    """``GET /.well-known/est[/<template>]/csrattrs`` (RFC 7030 section 4.5)."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_get(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer what a CSR for this template should have in it."""
        template = _open_template(self._server, label or self._default)
        attributes = messages.csr_attributes(template)
        if attributes is None:
            response.status = falcon.HTTP_NO_CONTENT
            return
        _answer_base64(request, response, messages.ATTRIBUTES_TYPE, attributes)


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
        wish = _read_wish(request, requester, template.name)
        _answer_outcome(request, response, self._server.enroll(wish))


class SimpleReenroll:
    """``POST /.well-known/est[/<template>]/simplereenroll`` (RFC 7030 section 4.2.2).

    Without a label it renews under the template that the certificate came from.
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
        if requester.certificate is None:
            raise NotAuthenticated("a certificate is renewed by showing it")
        template = label or requester.certificate.template
        if template is None:
            raise NotAllowed("the certificate of an authority is not renewed here")
        wish = _read_wish(request, requester, template, renewal=True)
        _answer_outcome(request, response, self._server.enroll(wish))


def _open_template(server: Server, name: str) -> Template:
    """Return a template that EST serves.

    Raises:
        NotFound: there is none of that name at this door.
    """
    template = server.templates.get(name)
    if not template.enabled or DOOR not in template.doors:
        raise NotFound(f"no template {name!r} here")
    return template


def _read_wish(
    request: falcon.Request, requester: Requester, template: str, *, renewal: bool = False
) -> EnrollmentRequest:
    """Return what the caller asks for.

    Raises:
        WrongContentType: the body is not a CSR and says so.
        MalformedRequest: it cannot be read.
    """
    content_type = (request.content_type or messages.REQUEST_TYPE).partition(";")[0].strip()
    if content_type.lower() != messages.REQUEST_TYPE:
        raise WrongContentType(f"expected {messages.REQUEST_TYPE}, found {content_type}")
    return EnrollmentRequest(
        csr=messages.read_request(request.bounded_stream.read()),
        requester=requester,
        template=template,
        door=DOOR,
        renews=requester.certificate if renewal else None,
    )


def _answer_outcome(
    request: falcon.Request, response: falcon.Response, outcome: Issued | Pending
) -> None:
    """Answer the certificate alone (RFC 7030 section 4.2.3), or 202 while somebody decides."""
    if isinstance(outcome, Issued):
        _answer_certificates(request, response, outcome.certificate)
        return
    text = f"request {outcome.request_id} waits for approval; send it again later"
    _answer_text(response, HTTPStatus.ACCEPTED, text)
    response.set_header("Retry-After", str(outcome.retry_after))


def _answer_certificates(
    request: falcon.Request, response: falcon.Response, *certificates: bytes
) -> None:
    message = messages.write_certificates(*certificates)
    _answer_base64(request, response, messages.CERTIFICATES_TYPE, message)


def _answer_base64(
    request: falcon.Request, response: falcon.Response, content_type: str, octets: bytes
) -> None:
    response.content_type = content_type
    # RFC 8951 section 3: to be ignored; clients from before it refuse an answer without.
    response.set_header("Content-Transfer-Encoding", "base64")
    response.data = messages.write_body(octets, request.user_agent or "")


def _answer_text(response: falcon.Response, status: HTTPStatus, sentence: str) -> None:
    response.status = falcon.code_to_http_status(status.value)
    response.content_type = _TEXT
    # What clients wrote may be quoted in it: nothing that steers a terminal goes back.
    shown = "".join(character if character.isprintable() else "?" for character in sentence)
    response.data = f"{shown}\n".encode()
