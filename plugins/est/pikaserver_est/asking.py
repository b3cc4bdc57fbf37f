"""What a caller asks for: the template behind the path, and the request in the body."""

import falcon

from pikaserver.api.errors import NotFound
from pikaserver.api.issuance import CertificationRequest, EnrollmentRequest, Requester
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver_est import messages
from pikaserver_est.answers import WrongContentType

DOOR = "est"
"""What templates call this door."""


def open_template(server: Server, name: str) -> Template:
    """Return a template that EST serves.

    Raises:
        NotFound: there is none of that name at this door.
    """
    template = server.templates.get(name)
    if not template.enabled or DOOR not in template.doors:
        raise NotFound(f"no template {name!r} here")
    return template


def media_type(request: falcon.Request, default: str) -> str:
    """Return what the body says it is, without parameters; the default where it says nothing."""
    return (request.content_type or default).partition(";")[0].strip().lower()


def read_body(request: falcon.Request) -> CertificationRequest:
    """Return the CSR of a body.

    Raises:
        WrongContentType: it is not a CSR and says so.
        MalformedRequest: it cannot be read.
    """
    if media_type(request, messages.REQUEST_TYPE) != messages.REQUEST_TYPE:
        found = (request.content_type or "").partition(";")[0].strip()
        raise WrongContentType(messages.REQUEST_TYPE, found)
    return messages.read_request(request.bounded_stream.read())


def wish(
    request: falcon.Request, csr: CertificationRequest, requester: Requester, template: str
) -> EnrollmentRequest:
    """Return the wish for a certificate; a client's name of itself goes to the operator."""
    return EnrollmentRequest(
        csr=csr, requester=requester, template=template, door=DOOR, model=request.user_agent
    )
