"""Ties a request to its TLS session: who sends it holds the key in it (RFC 7030 section 3.5)."""

import base64
from hmac import compare_digest

import falcon

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import CertificationRequest, Requester
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.templates import Template
from pikaserver.api.web import client_connection

REQUIRED = "required"
OFF = "off"


def check_linking(
    request: falcon.Request, csr: CertificationRequest, requester: Requester, template: Template
) -> None:
    """Return when a request belongs to the session that it came by, as far as its template asks.

    The client writes what its side of TLS calls tls-unique (RFC 5929) or tls-exporter (RFC
    9266) into the challenge password, in base64, before it signs.  A request that was overheard,
    or that an authority's other client lent out, shows another session's.  A registration
    authority passes on what others signed elsewhere.

    Raises:
        RequestRejected: the request is of another session, or of none that is known here.
    """
    rule = template.est.possession_linking
    if rule == OFF or may_ask_for_others(requester.certificate, template):
        return
    said = csr.challenge_password
    if said is None:
        if rule == REQUIRED:
            raise RequestRejected(
                f"template {template.name!r} wants the request tied to its TLS session:"
                " tls-exporter or tls-unique in the challenge password"
            )
        return
    bindings = _bindings(request)
    if not bindings:
        raise RequestRejected("this TLS session ends before the server: nothing is tied to it")
    told = "".join(said.split()).encode("utf-8", errors="replace")
    if not any(compare_digest(base64.b64encode(one), told) for one in bindings):
        raise RequestRejected("the request is tied to another TLS session than the one it came by")


def _bindings(request: falcon.Request) -> tuple[bytes, ...]:
    tls = client_connection(request).tls
    return () if tls is None else tuple(tls.channel_bindings.values())
