"""Challenges for programs: the same right as at the NDES page, asked and answered in JSON."""

import json
from datetime import datetime, timedelta

import falcon
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.api.server import Server
from pikaserver.api.web import client_connection
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.addresses import AddressList
from pikaserver_scep.challenges.basic import asker
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.challenges.settings import ChallengeSettings

METHOD = "one-time"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    commonName: str | None = Field(default=None, min_length=1, max_length=200)  # noqa: N815 - JSON
    lifetimeSeconds: int = Field(default=3600, ge=60, le=31_536_000)  # noqa: N815 - JSON


class ChallengesAsJson:
    """``POST /scep/<template>/challenges``."""

    def __init__(self, server: Server, settings: ChallengeSettings) -> None:
        self._server = server
        self._settings = settings
        self._accounts = NdesAccounts(server)
        self._challenges = OneTimeChallenges(server)

    def on_post(self, request: falcon.Request, response: falcon.Response, template: str) -> None:
        """Answer a challenge for one certificate."""
        rules = self._settings.of(template)
        address = client_connection(request).address
        AddressList(rules.ndes_networks).check(address)
        actor = asker(
            self._server, self._accounts, request, template, self._settings.ndes.operators
        )
        if METHOD not in rules.methods:
            raise NotFound(f"template {template!r} takes no one-time challenges")
        asked = _read(request.bounded_stream.read())
        wish = Wish(
            template,
            METHOD,
            asked.commonName,
            lifetime=timedelta(seconds=asked.lifetimeSeconds),
        )
        made = self._challenges.create(wish, actor)
        response.status = falcon.HTTP_201
        response.set_header("Cache-Control", "no-store")
        response.media = {
            "challenge": made.challenge,
            "id": made.id,
            "template": made.template,
            "expiresAt": _written(made.expires_at),
        }


def _read(body: bytes) -> _Asked:
    try:
        return _Asked.model_validate(json.loads(body or b"{}"))
    except (ValidationError, ValueError, RecursionError):
        raise MalformedRequest(
            "the body is a JSON object with commonName and lifetimeSeconds, both optional"
        ) from None


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
