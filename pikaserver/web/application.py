"""The Falcon application of one listener: its services' routes, their errors, request ids.

A resource that needs the path as it came over the wire (percent-encoded, RFC 6960 appendix A)
finds it in ``request.env["REQUEST_URI"]``; ``request.path`` is decoded.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence

import falcon
from falcon.routing import CompiledRouter

from pikaserver.api.errors import ConfigurationError, PikaserverError
from pikaserver.api.operations import Entropy
from pikaserver.api.web import Route, Service
from pikaserver.web.boundary import Boundary

Application = falcon.App[falcon.Request, falcon.Response]

FIELD = re.compile(r"\{[^}]*\}")


def build_application(
    services: Sequence[Service],
    *,
    entropy: Entropy,
    logger: logging.Logger | None = None,
) -> Application:
    """Return an application that answers for these services and nothing else.

    Raises:
        ConfigurationError: a service's name or a path is given twice; both sides are named.
    """
    templates = _templates(services)
    boundary = Boundary(templates, entropy, logger or logging.getLogger(__name__))
    application = falcon.App(middleware=[boundary], router=_Router())
    for service in services:
        for route in service.routes:
            _add(application, service, route, templates)
    application.set_error_serializer(boundary.write_http_error)
    application.add_error_handler(PikaserverError, boundary.answer_error)
    application.add_error_handler(Exception, boundary.answer_unexpected)
    return application


def _templates(services: Iterable[Service]) -> dict[str, Service]:
    """Return which service answers at which path."""
    names: set[str] = set()
    templates: dict[str, Service] = {}
    shapes: dict[str, str] = {}
    for service in services:
        if service.name in names:
            raise ConfigurationError(f"two services are called {service.name!r}")
        names.add(service.name)
        for route in service.routes:
            shape = FIELD.sub("{}", route.path)
            if shape in shapes:
                other = shapes[shape]
                raise ConfigurationError(
                    f"services {templates[other].name!r} and {service.name!r} both answer at"
                    f" {_both(other, route.path)}"
                )
            shapes[shape] = route.path
            templates[route.path] = service
    return templates


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} ({second})"


def _add(
    application: Application, service: Service, route: Route, templates: Mapping[str, Service]
) -> None:
    try:
        application.add_route(route.path, route.resource)
    except ValueError as error:
        # Falcon allows one field name per place: /a/{x}/b beside /a/{y}/c is refused.
        head = FIELD.sub("{}", route.path).partition("{}")[0]
        rivals = sorted(
            f"{other.name!r} ({path})"
            for path, other in templates.items()
            if path != route.path and path.startswith(head) and FIELD.search(path)
        )
        raise ConfigurationError(
            f"the path {route.path} of service {service.name!r} cannot stand beside"
            f" {', '.join(rivals) or 'the others'}: {error}"
        ) from error


class _Router(CompiledRouter):
    """Falcon's router, with HEAD wherever there is GET (RFC 9110 section 9.1)."""

    def map_http_methods(self, resource: object, **kwargs: object) -> dict[str, object]:  # type: ignore[override]  # Falcon's own name for this type is private
        """Map the methods of a resource; Falcon drops the body of an answer to HEAD."""
        methods: dict[str, object] = dict(super().map_http_methods(resource, **kwargs))
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])
        return methods
