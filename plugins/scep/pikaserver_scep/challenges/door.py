"""``/scep/<template>/challenges``: one-time challenges for people, by HTML, and for programs."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import falcon

from pikaserver.api.errors import (
    NotAllowed,
    NotFound,
    RequestRejected,
    Unavailable,
)
from pikaserver.api.server import Server
from pikaserver.api.web import client_connection
from pikaserver_scep.challenges import json_door
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.addresses import AddressList
from pikaserver_scep.challenges.basic import asker
from pikaserver_scep.challenges.ndes_page import thumbprint
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.challenges.page.forms import CONTENT_TYPE, Filled, Tokens, filled, read_form
from pikaserver_scep.challenges.page.html import HEADERS
from pikaserver_scep.challenges.page.rendering import (
    Form,
    Place,
    form_page,
    made_page,
    refused_page,
)
from pikaserver_scep.challenges.page.style import STYLE
from pikaserver_scep.challenges.settings import ChallengeSettings

METHOD = "one-time"
DOOR = "scep"


class ChallengesDoor:
    """The same right, the same networks and the same lock-out as at the page of NDES."""

    def __init__(self, server: Server, settings: ChallengeSettings) -> None:
        self._server = server
        self._settings = settings
        self._accounts = NdesAccounts(server)
        self._challenges = OneTimeChallenges(server)
        self._tokens = Tokens(server.secrets)

    def on_get(self, request: falcon.Request, response: falcon.Response, template: str) -> None:
        """Answer the form for people, the open challenges for programs; never a secret."""
        actor = self._admitted(request, template)
        if wants_html(request):
            done = request.get_param_as_int("withdrawn", min_value=1, max_value=10**9)
            note = f"Challenge {done} is withdrawn." if done else ""
            self._show_form(response, self._form(template, actor, note=note))
        else:
            json_door.write_list(response, self._challenges.still_open(template))

    def on_post(self, request: falcon.Request, response: falcon.Response, template: str) -> None:
        """Make a challenge, or withdraw one."""
        check_origin(request, self._server.base_url("ndes"))
        actor = self._admitted(request, template)
        body = request.bounded_stream.read()
        if (request.content_type or "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            wish = json_door.read_wish(template, body)
            json_door.write_made(response, self._challenges.create(wish, actor))
            return
        fields = read_form(body)
        self._tokens.check(fields.get("token", ""), actor, template, self._server.clock())
        if fields.get("deed") == "withdraw":
            self._withdraw(response, template, fields, actor)
        else:
            self._create(response, self._form(template, actor, filled=filled(fields)), actor)

    def withdraw(self, request: falcon.Request, template: str, number: int) -> None:
        """Withdraw one for a program.

        Raises:
            NotFound: none of this number and template is open.
        """
        check_origin(request, self._server.base_url("ndes"))
        actor = self._admitted(request, template)
        if number not in {one.id for one in self._challenges.still_open(template)}:
            raise NotFound(f"no challenge {number} is open")
        self._challenges.withdraw(number, actor)

    def _create(self, response: falcon.Response, form: Form, actor: str) -> None:
        typed, place = form.filled, self._place(form.template)  # what fails, fails before
        try:
            wish = Wish(
                form.template,
                METHOD,
                typed.common_name or None,
                typed.subject or None,
                typed.name_list,
                typed.how_many,
                typed.how_long,
            )
            made = self._challenges.create(wish, actor)
        except RequestRejected as error:
            response.status = falcon.HTTP_422
            again = Form(form.template, form.token, typed, fault=f"{error}")
            self._show_form(response, again)
            return
        _show(response, made_page(made, wish.uses, place))

    def _withdraw(
        self, response: falcon.Response, template: str, fields: Mapping[str, str], actor: str
    ) -> None:
        number = fields.get("id", "")
        known = {str(one.id): one.id for one in self._challenges.still_open(template)}
        if number in known:
            self._challenges.withdraw(known[number], actor)
            response.status = falcon.HTTP_303
            response.set_header("Location", f"challenges?withdrawn={known[number]}")
            return
        response.status = falcon.HTTP_404
        gone = "That challenge is not open any more: it was used, is over, or was withdrawn."
        form = self._form(template, actor)
        self._show_form(response, Form(template, form.token, fault=gone))

    def _admitted(self, request: falcon.Request, template: str) -> str:
        """Return who asks, as the audit trail calls it.

        Raises:
            NotAllowed: not from this address, or not for this template.
            NotAuthenticated: no credential, or a wrong one.
            NotFound: the template takes no one-time challenges, or does not issue by SCEP.
        """
        rules = self._settings.of(template)
        AddressList(rules.ndes_networks).check(client_connection(request).address)
        operators = self._settings.ndes.operators
        actor = asker(self._server, self._accounts, request, template, operators)
        if METHOD not in rules.methods:
            raise NotFound(f"template {template!r} takes no one-time challenges")
        found = self._server.templates.get(template)
        if not (found.enabled and found.scep.enabled and DOOR in found.doors):
            raise NotFound(f"template {template!r} does not issue by SCEP")
        return actor

    def _form(
        self, template: str, actor: str, *, filled: Filled | None = None, note: str = ""
    ) -> Form:
        token = self._tokens.give(actor, template, self._server.clock())
        return Form(template, token, filled or Filled(), note=note)

    def _show_form(self, response: falcon.Response, form: Form) -> None:
        now: datetime = self._server.clock()
        _show(response, form_page(form, self._challenges.still_open(form.template), now))

    def _place(self, template: str) -> Place:
        base = self._server.base_url(DOOR)
        authority = self._server.authorities.get(self._server.templates.get(template).authority)
        current = [one.certificate for one in authority.generations if one.current]
        if not current:
            raise Unavailable(f"authority {authority.name!r} has no certificate yet")
        prints = (
            ("SHA-256", thumbprint(current[0], "sha256")),
            ("SHA-1", thumbprint(current[0], "sha1")),
        )
        return Place(base and f"{base}/{DOOR}/{template}", prints)


class OneChallenge:
    """``DELETE /scep/<template>/challenges/<number>``, for programs."""

    def __init__(self, door: ChallengesDoor) -> None:
        self._door = door

    def on_delete(
        self, request: falcon.Request, response: falcon.Response, template: str, number: int
    ) -> None:
        """Withdraw a challenge of this template."""
        self._door.withdraw(request, template, number)
        response.status = falcon.HTTP_204


class StyleSheet:
    """``GET /scep/<template>/challenges/style.css``."""

    def on_get(self, request: falcon.Request, response: falcon.Response, template: str) -> None:
        """Answer it; there is nothing secret in it."""
        response.content_type = "text/css; charset=utf-8"
        response.set_header("Cache-Control", "public, max-age=3600")
        response.text = STYLE


def wants_html(request: falcon.Request) -> bool:
    """Tell whether a browser asks: programs say ``*/*`` or JSON."""
    return "text/html" in (request.get_header("Accept") or "").lower()


def check_origin(request: falcon.Request, base: str | None) -> None:
    """Refuse what a page of somebody else's makes a browser send with our user's credentials.

    Raises:
        NotAllowed: it was not one of our pages.
    """
    site, origin = request.get_header("Sec-Fetch-Site"), request.get_header("Origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        own = {(request.get_header("Host") or "").lower(), urlsplit(base or "").netloc.lower()}
        foreign = origin is not None and urlsplit(origin).netloc.lower() not in own - {""}
    if foreign:
        raise NotAllowed("this was sent by another site's page")


def refuse(response: falcon.Response, why: str | None) -> None:
    """Answer an error as a page; the status stands already."""
    _show(response, refused_page("This cannot be done", (why or "").strip()))


def _show(response: falcon.Response, page: str) -> None:
    response.content_type = "text/html; charset=utf-8"
    response.text = page
    for name, value in HEADERS.items():
        response.set_header(name, value)
