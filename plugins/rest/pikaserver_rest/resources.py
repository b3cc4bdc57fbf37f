"""What can be looked up: certificates, requests, templates, authorities."""

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

import falcon

from pikaserver.api.certificates import CertificateRecord, Generation
from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.api.issuance import Requester, RequestRecord, RequestState
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.csr import read_csr
from pikaserver_rest import storage
from pikaserver_rest.answers import answer
from pikaserver_rest.documents import AuthorityList, TemplateList
from pikaserver_rest.enrolling import METHODS
from pikaserver_rest.finding import find_certificate
from pikaserver_rest.formats import Format, chosen_format, write_chain
from pikaserver_rest.issuing import DOOR
from pikaserver_rest.queries import read_query
from pikaserver_rest.records import (
    authority_document,
    certificate_document,
    chain_of,
    request_document,
    template_document,
)
from pikaserver_rest.wishes import credential_of

MOST_ITEMS = 100
_RETRY_AFTER = "60"
_LIMIT = re.compile(r"[0-9]{1,3}", re.ASCII)
_WAITING = (RequestState.PENDING, RequestState.APPROVED)

Item = TypeVar("Item")


class Certificate:
    """``GET /api/v1/certificates/<serial or SHA-256 fingerprint>``.

    Certificates are public, here as at the other doors: who can name one may have it.  Who
    asked for it, and what was decided, is told to nobody but the requester.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, identifier: str) -> None:
        """Answer the certificate and its status, or in the other forms the certificate alone."""
        form = chosen_format(request, read_query(request, ("format",)).get("format"))
        record = find_certificate(self._server, identifier)
        if form is Format.JSON:
            answer(response, certificate_document(self._server, record))
        else:
            chain = chain_of(self._server, record)
            write_chain(response, form, (record.certificate or b"", *chain))


class WaitingRequest:
    """``GET /api/v1/requests/<id>``: for who made it, with the same credential."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, request_id: int) -> None:
        """Answer how far it is."""
        requester = self._server.authenticate(request, METHODS)
        read_query(request, ())
        with self._server.database.reading() as connection:
            owner = storage.requester_of(connection, request_id)
        if owner != credential_of(requester):
            # Whether there is one of somebody else's is told to nobody.
            raise NotFound("there is no such request of this credential")
        record = self._server.requests.get(request_id)
        if record.state in _WAITING:
            response.set_header("Retry-After", _RETRY_AFTER)
        answer(response, request_document(record, _came_of(self._server, record)))


class Templates:
    """``GET /api/v1/templates``: those which the caller's credential is good for."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer what a request for each of them may and must have."""
        requester = self._server.authenticate(request, METHODS)
        templates = [self._server.templates.get(name) for name in self._server.templates.names()]
        open_ones = [one for one in templates if _is_open(one, requester)]
        page = _page(request, response, open_ones, lambda one: one.name)
        answer(response, TemplateList(items=[template_document(one) for one in page]))


class Authorities:
    """``GET /api/v1/authorities``; what is told is public, as in every certificate's chain."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer names and current certificates."""
        known = [self._server.authorities.get(name) for name in self._server.authorities.names()]
        ready = [one for one in known if any(key.current for key in one.generations)]
        page = _page(request, response, ready, lambda one: one.name)
        items = [authority_document(one, _current(one.generations)) for one in page]
        answer(response, AuthorityList(items=items))


class Authority:
    """``GET /api/v1/authorities/<name>``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer the current certificate, in the other forms with all above it."""
        form = chosen_format(request, read_query(request, ("format",)).get("format"))
        record = self._server.authorities.get(name)
        generation = _current(record.generations)
        if form is Format.JSON:
            answer(response, authority_document(record, generation))
        else:
            write_chain(response, form, (generation.certificate, *generation.chain))


def _came_of(server: Server, record: RequestRecord) -> list[CertificateRecord]:
    """Return the certificate of a request, of a pair the second one behind it."""
    if record.certificate_id is None:
        return []
    first = server.certificates.get(record.certificate_id)
    if record.second_csr is None:
        return [first]
    key = read_csr(record.second_csr).public_key
    bound = (one for one in server.pairs.of(first) if one.certificate)
    others = (one for one in bound if _key(one) == key)
    return [first, *islice(others, 1)]


def _key(record: CertificateRecord) -> bytes:
    return public_key_of(read_certificate(record.certificate or b""))


def _current(generations: Sequence[Generation]) -> Generation:
    for generation in generations:
        if generation.current:
            return generation
    raise NotFound("this authority has no certificate yet")


def _is_open(template: Template, requester: Requester) -> bool:
    """Tell whether a credential counts for a template, as far as that is known beforehand."""
    if not template.enabled or DOOR not in template.doors:
        return False
    if requester.method not in template.proofs:
        return False
    if requester.templates is not None:
        return template.name in requester.templates
    shown = requester.certificate
    trusted = template.client_authorities or frozenset({template.authority})
    return shown is not None and shown.template is not None and shown.authority in trusted


def _page(
    request: falcon.Request,
    response: falcon.Response,
    items: Sequence[Item],
    name_of: Callable[[Item], str],
) -> list[Item]:
    """Return a page of a list by names, and link to the next one (RFC 8288)."""
    query = read_query(request, ("cursor", "limit"))
    limit = query.get("limit", str(MOST_ITEMS))
    if not (_LIMIT.fullmatch(limit) and 0 < int(limit) <= MOST_ITEMS):
        raise MalformedRequest(f"limit is a number from 1 to {MOST_ITEMS}")
    after = query.get("cursor", "")
    rest = sorted((one for one in items if name_of(one) > after), key=name_of)
    page = rest[: int(limit)]
    if len(rest) > len(page):
        cursor = quote(name_of(page[-1]), safe="")
        response.append_link(f"{request.path}?limit={limit}&cursor={cursor}", "next")
    return page
