"""HTTP in, HTTP out (RFC 8894 section 4)."""

from collections import Counter
from collections.abc import Callable
from threading import Lock

import falcon

from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.api.renewal import renewal_info
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.api.web import client_connection
from pikaserver_scep import ca_certificates
from pikaserver_scep.asking import DOOR
from pikaserver_scep.messages import LIMIT_OCTETS
from pikaserver_scep.operations import Operations
from pikaserver_scep.queries import read_body, read_query
from pikaserver_scep.registrars import Registrars

PKI_MESSAGE = "application/x-pki-message"

_PKI_OPERATION = "pkioperation"
_Get = Callable[[falcon.Request, falcon.Response, Template], None]


class PkiClient:
    """``/scep``, ``/scep/<template>`` and the names that old devices append to them."""

    def __init__(
        self, server: Server, operations: Operations, registrars: Registrars, default: str
    ) -> None:
        self._server = server
        self.operations = operations
        self._registrars = registrars
        self._default = default
        self._counting = Lock()
        self._gets: dict[str, _Get] = {
            "getcacaps": self._capabilities,
            "getcacert": self._ca_certificates,
            "getnextcacert": self._next_ca_certificates,
            "getrenewalinfo": self._renewal_info,
            _PKI_OPERATION: self._get_operation,
        }
        self.answers: Counter[tuple[str, str, str]] = Counter()
        """How many answers, by template, operation and outcome."""

    def on_get(
        self, request: falcon.Request, response: falcon.Response, template: str | None = None
    ) -> None:
        """Answer what a client asks before it enrols, or a message in the query."""
        found = self._template(template)
        get = self._gets.get(_operation(request))
        if get is None:
            raise MalformedRequest(
                "expected ?operation=GetCACaps, GetCACert, GetNextCACert, GetRenewalInfo or"
                " PKIOperation"
            )
        get(request, response, found)

    def on_post(
        self, request: falcon.Request, response: falcon.Response, template: str | None = None
    ) -> None:
        """Answer a message in the body."""
        found = self._template(template)
        if _operation(request) not in ("", _PKI_OPERATION):
            raise MalformedRequest("expected ?operation=PKIOperation")
        body = request.bounded_stream.read(LIMIT_OCTETS + 1)
        self._answer(request, response, found, read_body(body))

    def _template(self, name: str | None) -> Template:
        """Return a template that SCEP serves.

        Raises:
            NotFound: there is none of that name at this door.
        """
        template = self._server.templates.get(name or self._default)
        if not (template.enabled and template.scep.enabled and DOOR in template.doors):
            raise NotFound(f"no template {template.name!r} here")
        return template

    def _get_operation(
        self, request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        octets = read_query(request.get_param("message") or "")
        self._answer(request, response, template, octets)

    def _answer(
        self,
        request: falcon.Request,
        response: falcon.Response,
        template: Template,
        octets: bytes,
    ) -> None:
        address = client_connection(request).address
        answer = self.operations.answer(octets, template, address, request.user_agent)
        self._count(template, answer.operation, answer.outcome)
        response.content_type = PKI_MESSAGE
        response.cache_control = ["no-store"]
        response.data = answer.octets

    def _capabilities(
        self, _request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        self._count(template, "get-ca-caps", "success")
        response.content_type = falcon.MEDIA_TEXT
        response.text = ca_certificates.capabilities(template)

    def _ca_certificates(
        self, _request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        registrar = self._registrars.current(template.authority)
        content_type, octets = ca_certificates.ca_certificates(registrar, template)
        self._count(template, "get-ca-cert", "success")
        response.content_type = content_type
        response.data = octets

    def _next_ca_certificates(
        self, _request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        response.data = ca_certificates.next_ca_certificates(
            self._server, self._registrars, template
        )
        self._count(template, "get-next-ca-cert", "success")
        response.content_type = ca_certificates.NEXT_CA_CERTIFICATE

    def _renewal_info(
        self, request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        """Tell when a certificate should be renewed, which RFC 8894 has no word for.

        The message is the certificate's identifier of RFC 9773, or its SHA-256 in hex.
        """
        record = self._server.renewals.find(request.get_param("message") or "")
        if record.template != template.name:
            raise NotFound("no certificate of this identifier was issued here")
        window = self._server.renewals.window(record)
        self._count(template, "get-renewal-info", "success")
        response.media = renewal_info(window)
        response.set_header("Retry-After", str(window.retry_after))
        response.cache_control = ["no-store"]

    def _count(self, template: Template, operation: str, outcome: str) -> None:
        with self._counting:
            self.answers[template.name, operation, outcome] += 1


def _operation(request: falcon.Request) -> str:
    return (request.get_param("operation") or "").lower()
