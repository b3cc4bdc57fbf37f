"""Certificates are asked for, and renewed."""

from http import HTTPStatus

import falcon

from pikaserver.api.errors import NotAllowed, NotAuthenticated
from pikaserver.api.issuance import Pending
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.renewal import renewal_info
from pikaserver.api.server import Server
from pikaserver_rest.answers import answer
from pikaserver_rest.finding import find_certificate
from pikaserver_rest.formats import Format, chosen_format, write_chain
from pikaserver_rest.issuing import Outcome, check_key, issue, read_key
from pikaserver_rest.queries import read_query
from pikaserver_rest.records import (
    certificate_path,
    chain_of,
    issued_document,
    request_document,
    request_path,
)
from pikaserver_rest.wishes import read_renewal, read_wish

METHODS = ("code", "certificate")
"""A code was sent for this request; a certificate may be shown out of habit."""


class Certificates:
    """``POST /api/v1/certificates``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Issue a certificate to the caller, who shows a code or a certificate."""
        requester = self._server.authenticate(request, METHODS)
        query = read_query(request, ("format", "template", "validity"))
        form = chosen_format(request, query.get("format"))
        key = read_key(request.get_header("Idempotency-Key"))
        wish = read_wish(request, query)
        check_key(self._server, requester, key, wish)
        outcome = issue(self._server, requester, wish, request.user_agent)
        answer_outcome(self._server, response, form, outcome)


class Renewal:
    """``/api/v1/certificates/<identifier>/renewal``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        """Answer when to renew, in the JSON of RFC 9773; who has a certificate may know."""
        read_query(request, ())
        window = self._server.renewals.window(find_certificate(self._server, identifier))
        response.media = renewal_info(window)
        response.set_header("Retry-After", str(window.retry_after))

    def on_post(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        """Renew a certificate for its holder, who shows it, or for a registration authority."""
        requester = self._server.authenticate(request, ("certificate",))
        query = read_query(request, ("format",))
        form = chosen_format(request, query.get("format"))
        key = read_key(request.get_header("Idempotency-Key"))
        old = find_certificate(self._server, identifier)
        if requester.certificate is None:
            raise NotAuthenticated("a certificate is renewed by showing it")
        if old.template is None:
            raise NotAllowed("the certificate of an authority is not renewed here")
        template = self._server.templates.get(old.template)
        own = requester.certificate.id == old.id
        if not own and not may_ask_for_others(requester.certificate, template):
            raise NotAllowed("a certificate is renewed by showing that very one")
        wish = read_renewal(request, old, template.name)
        check_key(self._server, requester, key, wish)
        outcome = issue(self._server, requester, wish, request.user_agent)
        answer_outcome(self._server, response, form, outcome)


def answer_outcome(
    server: Server, response: falcon.Response, form: Format, outcome: Outcome
) -> None:
    """Answer 201 with the certificate, or 202 while somebody decides.

    Of a pair the second one stands in JSON and in PKCS#7, too; the header Link names it always.
    """
    if isinstance(outcome, Pending):
        _answer_pending(server, response, outcome)
        return
    first, *others = outcome
    response.status = falcon.code_to_http_status(HTTPStatus.CREATED.value)
    response.location = certificate_path(first.record.serial)
    for other in others:
        response.append_link(certificate_path(other.record.serial), "alternate")
    if form is Format.JSON:
        answer(response, issued_document(server, first, others))
        return
    shown = outcome if form is Format.PKCS7 else outcome[:1]
    chains = [
        one for issued in shown for one in (issued.certificate, *chain_of(server, issued.record))
    ]
    write_chain(response, form, [*dict.fromkeys(chains)])


def _answer_pending(server: Server, response: falcon.Response, pending: Pending) -> None:
    response.status = falcon.code_to_http_status(HTTPStatus.ACCEPTED.value)
    response.location = request_path(pending.request_id)
    response.set_header("Retry-After", str(pending.retry_after))
    answer(response, request_document(server.requests.get(pending.request_id), ()))
