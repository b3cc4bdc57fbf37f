"""Greet at ``/hello``, and refuse common names that do not end in our domain."""

import falcon
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.hooks import hookimpl
from pikaserver.api.issuance import EnrollmentRequest, Validator
from pikaserver.api.templates import Template
from pikaserver.api.web import Route, Security, Service

REQUIRES = (0, 1)  # the plugin API that this was written for


class Hello:
    """``GET /hello``."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Greet the caller."""
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello\n"


class OurDomainOnly:
    """The common name ends in ``.example.org``."""

    def check(self, request: EnrollmentRequest, template: Template) -> None:
        """See ``pikaserver.api.issuance.Validator``."""
        for name in request.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            if not str(name.value).endswith(".example.org"):
                raise RequestRejected(f"{name.value!r} does not end in '.example.org'")


@hookimpl
def register_services() -> list[Service]:
    """Offer the route; a listener serves it once it names ``hello``."""
    return [Service("hello", Security.PLAIN, [Route("/hello", Hello())])]


@hookimpl
def register_validators() -> list[Validator]:
    """Offer the rule; a hook takes only the arguments that it needs."""
    return [OurDomainOnly()]
