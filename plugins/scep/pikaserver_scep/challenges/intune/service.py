"""Intune's services as a program sees them: a token, where they are, and what they answer.

The shapes are those of Microsoft's own client library: client credentials of an app
registration, endpoints of the Intune service principal by Microsoft Graph, JSON over POST.
"""

import json
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver.api.operations import Clock, Entropy
from pikaserver.api.outgoing import Answer, Exchange, HttpClient, present_secret
from pikaserver_scep.challenges.settings import IntuneSettings

INTUNE_APPLICATION = "0000000a-0000-0000-c000-000000000000"
"""Intune's own application, the same in every tenant."""
CALLER = "pikaserver"
"""What Intune's records call us."""

_SPARE = timedelta(minutes=5)
_REMEMBERED = timedelta(hours=12)
_AGAIN = {401, 403, 404, 408, 425, 429}
"""Our rights, the place or the moment may be wrong: not a word about this request."""
_UNAUTHORIZED = 401
_SHOWN = 200
_DAY = 86_400
_NUMBER = re.compile(r"[0-9]{1,9}")


class IntuneService:
    """One tenant's services; tokens and places are kept while they hold."""

    def __init__(self, settings: IntuneSettings, clock: Clock, entropy: Entropy) -> None:
        self._settings = settings
        self._client = HttpClient(settings.route)
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, datetime]] = {}
        self._places: Mapping[str, str] = {}
        self._looked_up: datetime | None = None

    def post(
        self, service: str, path: str, version: str, body: Mapping[str, object]
    ) -> dict[str, object]:
        """Ask a service and return its answer.

        A token that is no longer taken, or a place that has moved, is looked up once more.

        Raises:
            Unavailable: it cannot be asked now.
            RequestRejected: it does not take this request.
        """
        try:
            answer = self._ask(service, path, version, body)
        except Unavailable:
            self._forget()
            answer = self._ask(service, path, version, body)
        if answer.status == _UNAUTHORIZED:
            self._forget()
            answer = self._ask(service, path, version, body)
        if answer.ok:
            return answer.json()
        why = f"Intune's {service} answers {answer.status}: {_shown(answer)}"
        if answer.status in _AGAIN or answer.status >= 500:  # noqa: PLR2004 - server errors
            self._forget()
            raise Unavailable(why)
        raise RequestRejected(why)

    def _ask(self, service: str, path: str, version: str, body: Mapping[str, object]) -> Answer:
        url = f"{self._place(service).rstrip('/')}/{path}"
        headers = {
            # Microsoft's library joins a slash to a resource that ends in one.
            "Authorization": f"Bearer {self._token(self._settings.resource_url + '/.default')}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": CALLER,
            "api-version": version,
            "client-request-id": self._request_id(),
        }
        return self._client.ask(Exchange("POST", url, headers, json.dumps(body).encode()))

    def _place(self, service: str) -> str:
        now = self._clock()
        with self._lock:
            if self._looked_up is not None and now < self._looked_up + _REMEMBERED:
                places = self._places
            else:
                places = {}
        if not places:
            places = self._look_up()
            with self._lock:
                self._places, self._looked_up = places, now
        if service.lower() not in places:
            raise Unavailable(f"tenant {self._settings.tenant} has no service {service}")
        return places[service.lower()]

    def _look_up(self) -> dict[str, str]:
        graph = self._settings.graph_url.rstrip("/")
        url = f"{graph}/v1.0/servicePrincipals/appId={INTUNE_APPLICATION}/endpoints"
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._token(f'{graph}/.default')}",
            "client-request-id": self._request_id(),
        }
        answer = self._client.ask(Exchange("GET", url, headers))
        if not answer.ok:
            raise Unavailable(
                f"Microsoft Graph answers {answer.status} on Intune's endpoints: {_shown(answer)}"
            )
        return _places(answer.json().get("value"))

    def _token(self, scope: str) -> str:
        now = self._clock()
        with self._lock:
            kept = self._tokens.get(scope)
        if kept is not None and now < kept[1]:
            return kept[0]
        login = self._settings.login_url.rstrip("/")
        form = {
            "client_id": self._settings.application_id,
            "client_secret": present_secret(self._settings.secret_file),
            "grant_type": "client_credentials",
            "scope": scope,
        }
        answer = self._client.ask(
            Exchange(
                "POST",
                f"{login}/{self._settings.tenant}/oauth2/v2.0/token",
                {
                    "Accept": "application/json",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                urlencode(form).encode(),
            )
        )
        token, seconds = _token_of(answer)
        with self._lock:
            self._tokens[scope] = token, now + max(timedelta(seconds=seconds) - _SPARE, _SPARE)
        return token

    def _forget(self) -> None:
        with self._lock:
            self._tokens.clear()
            self._places, self._looked_up = {}, None

    def _request_id(self) -> str:
        return str(uuid.UUID(bytes=self._entropy(16), version=4))


def _token_of(answer: Answer) -> tuple[str, int]:
    """Return the access token and for how many seconds it holds (RFC 6749 section 5.1)."""
    if not answer.ok:
        raise Unavailable(f"Entra gives no token: {answer.status} {_shown(answer)}")
    fields = answer.json()
    token, seconds = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise Unavailable("Entra's answer has no access token")
    return token, _seconds(seconds)


def _seconds(value: object) -> int:
    """Return a number of seconds, written as a number or as text; nothing else counts."""
    text = str(value) if isinstance(value, int | str) else ""
    return min(int(text), _DAY) if _NUMBER.fullmatch(text) else 0


def _places(value: object) -> dict[str, str]:
    """Return where each service is; the older Graph calls its name otherwise."""
    found = {}
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict):
            name = entry.get("providerName") or entry.get("serviceName")
            place = entry.get("uri")
            if isinstance(name, str) and isinstance(place, str) and place.startswith("https://"):
                found[name.lower()] = place
    return found


def _shown(answer: Answer) -> str:
    text = answer.body.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text)[:_SHOWN].strip()
