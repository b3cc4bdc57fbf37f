"""The NDES page over HTTP: who may ask, and a fresh password for who may."""

from datetime import timedelta

import falcon

from pikaserver.api.errors import (
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
    TooManyRequests,
    Unavailable,
)
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.api.web import Route, Security, Service, client_connection
from pikaserver_scep.challenges import ndes_page
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.addresses import AddressList
from pikaserver_scep.challenges.basic import asker
from pikaserver_scep.challenges.door import (
    ChallengesDoor,
    OneChallenge,
    StyleSheet,
    refuse,
    wants_html,
)
from pikaserver_scep.challenges.ndes_page import Encoding
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.challenges.settings import ChallengeSettings

SERVICE = "ndes"
CHALLENGES = "/scep/{template}/challenges"
METHOD = "ndes"
DOOR = "scep"
PASSWORD_OCTETS = 16
"""Programs look for 16 to 32 hexadecimal digits: these make 32."""

_CHALLENGE = 'Basic realm="NDES", charset="UTF-8"'
_STATUS: dict[type[PikaserverError], str] = {
    MalformedRequest: falcon.HTTP_400,
    NotAuthenticated: falcon.HTTP_401,
    NotAllowed: falcon.HTTP_403,
    NotFound: falcon.HTTP_404,
    RequestRejected: falcon.HTTP_422,
    TooManyRequests: falcon.HTTP_429,
    Unavailable: falcon.HTTP_503,
}


class NdesPage:
    """``/scep/<template>/mscep_admin`` and ``/CertSrv/mscep_admin/``."""

    def __init__(self, server: Server, settings: ChallengeSettings) -> None:
        self._server = server
        self._settings = settings
        self._accounts = NdesAccounts(server)
        self._challenges = OneTimeChallenges(server)

    def on_get(
        self, request: falcon.Request, response: falcon.Response, template: str | None = None
    ) -> None:
        """Answer a page with a fresh password, as NDES does."""
        name = template or self._settings.ndes.default_template
        rules = self._settings.of(name)
        address = client_connection(request).address
        AddressList(rules.ndes_networks).check(address)
        if METHOD not in rules.methods:
            raise NotFound(f"there is no NDES page for template {name!r}")
        actor = asker(self._server, self._accounts, request, name, self._settings.ndes.operators)
        found = self._server.templates.get(name)
        response.set_header("Cache-Control", "no-store")
        response.content_type, response.data = ndes_page.encoded(
            self._page(found, actor), self._encoding(request)
        )

    def on_post(
        self, request: falcon.Request, response: falcon.Response, template: str | None = None
    ) -> None:
        """Do as for GET: some programs post."""
        self.on_get(request, response, template)

    def _page(self, template: Template, actor: str) -> str:
        ndes = self._settings.ndes
        if not (template.enabled and template.scep.enabled and DOOR in template.doors):
            raise NotFound(f"template {template.name!r} does not issue by SCEP")
        if self._challenges.open(template.name, METHOD) >= ndes.most_open:
            return ndes_page.full_page()
        wish = Wish(
            template=template.name,
            method=METHOD,
            lifetime=timedelta(minutes=ndes.lifetime_minutes),
            secret=self._server.entropy(PASSWORD_OCTETS).hex().upper(),
        )
        made = self._challenges.create(wish, actor)
        thumbprint = ndes_page.thumbprint(self._authority_certificate(template), ndes.thumbprint)
        return ndes_page.password_page(made.challenge, thumbprint, ndes.lifetime_minutes)

    def _authority_certificate(self, template: Template) -> bytes:
        generations = self._server.authorities.get(template.authority).generations
        for generation in generations:
            if generation.current:
                return generation.certificate
        raise Unavailable(f"authority {template.authority!r} has no certificate yet")

    def _encoding(self, request: falcon.Request) -> Encoding:
        wanted = (request.get_header("Accept-Charset") or "").lower()
        return "utf-8" if wanted.startswith("utf-8") else self._settings.ndes.encoding


class NdesError:
    """Answers errors: a page where NDES has one, else a sentence; 401 asks for Basic."""

    def __init__(self, settings: ChallengeSettings) -> None:
        self._encoding = settings.ndes.encoding

    def __call__(
        self, request: falcon.Request, response: falcon.Response, error: PikaserverError
    ) -> None:
        """See ``pikaserver.api.web.AnswerError``."""
        kinds = (kind for kind in type(error).__mro__ if kind in _STATUS)
        status = next(kinds, None)
        response.status = falcon.HTTP_500 if status is None else _STATUS[status]
        response.content_type = falcon.MEDIA_TEXT
        response.text = "something went wrong here\n" if status is None else f"{error}\n"
        of_challenges = (request.uri_template or "").startswith(CHALLENGES)
        if of_challenges and wants_html(request):
            refuse(response, response.text)
        elif isinstance(error, NotAllowed) and not of_challenges:
            page = ndes_page.forbidden_page()
            response.text = None
            response.content_type, response.data = ndes_page.encoded(page, self._encoding)
        if isinstance(error, NotAuthenticated):
            response.set_header("WWW-Authenticate", _CHALLENGE)
        if isinstance(error, TooManyRequests | Unavailable):
            response.set_header("Retry-After", str(error.retry_after))


def ndes_service(server: Server, settings: ChallengeSettings) -> Service:
    """Return the service; passwords go over the line, so it wants TLS."""
    page = NdesPage(server, settings)
    paths = ["/scep/{template}/mscep_admin", "/CertSrv/mscep_admin", "/certsrv/mscep_admin"]
    routes = [Route(path + end, page) for path in paths for end in ("", "/")]
    challenges = ChallengesDoor(server, settings)
    routes += [
        Route(CHALLENGES, challenges),
        Route(f"{CHALLENGES}/style.css", StyleSheet()),
        Route(CHALLENGES + "/{number:int}", OneChallenge(challenges)),
    ]
    return Service(SERVICE, Security.TLS, routes, NdesError(settings))
