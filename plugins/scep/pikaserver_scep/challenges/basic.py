"""Who asks for a challenge: an account by HTTP Basic (RFC 7617), or an operator."""

import base64
import binascii
from collections.abc import Collection

import falcon

from pikaserver.api.errors import MalformedRequest, NotAuthenticated
from pikaserver.api.server import Server
from pikaserver.api.web import client_connection
from pikaserver_scep.challenges.accounts import NdesAccounts

HEADER_LIMIT = 1024


def asker(
    server: Server,
    accounts: NdesAccounts,
    request: falcon.Request,
    template: str,
    operators: Collection[str],
) -> str:
    """Return who asks, as the audit trail calls it.

    An operator has logged in by whatever plugin knows operators, or shows a client certificate
    of one of the templates ``operators``.  A browser may show another one by habit: then it is
    still asked for user and password.

    Raises:
        NotAuthenticated: no credential, or a wrong one.
        NotAllowed: the account is for another template.
        TooManyRequests: too many wrong passwords came from there.
        MalformedRequest: the header cannot be read.
    """
    basic = read_basic(request.get_header("Authorization"))
    if basic is not None:
        return accounts.authenticate(*basic, template, client_connection(request).address)
    requester = server.authenticate(request, ("operator", "certificate"))
    if requester.method == "certificate":
        shown = requester.certificate
        if shown is None or shown.template not in operators:
            raise NotAuthenticated("this client certificate is not one of an operator")
    return requester.name


def read_basic(header: str | None) -> tuple[str, str] | None:
    """Return user and password of an Authorization header, ``None`` if it is not Basic.

    Raises:
        MalformedRequest: it cannot be read as RFC 7617 section 2 says.
    """
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    if len(credentials) > HEADER_LIMIT:
        raise MalformedRequest(f"Basic credentials have at most {HEADER_LIMIT} characters")
    try:
        text = base64.b64decode(credentials.strip(" "), validate=True).decode()
    except (binascii.Error, ValueError):
        raise MalformedRequest("the Basic credentials are not UTF-8 in base64") from None
    user, colon, password = text.partition(":")
    if not colon or not text.isprintable():
        raise MalformedRequest("the Basic credentials have no colon, or control characters")
    return user, password
