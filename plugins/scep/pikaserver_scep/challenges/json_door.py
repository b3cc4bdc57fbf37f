"""Challenges for programs: what is asked and answered in JSON."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

import falcon
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pikaserver.api.errors import MalformedRequest
from pikaserver_scep.challenges.binding import Binding
from pikaserver_scep.challenges.one_time import KnownChallenge, NewChallenge, Wish

METHOD = "one-time"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    commonName: str | None = Field(default=None, min_length=1, max_length=200)  # noqa: N815 - JSON
    subject: str | None = Field(default=None, min_length=1, max_length=1000)
    names: list[str] = Field(default=[], max_length=20)
    lifetimeSeconds: int = Field(default=3600, ge=60, le=31_536_000)  # noqa: N815 - JSON


def read_wish(template: str, body: bytes) -> Wish:
    """Return what a program wants: a challenge for one certificate.

    Raises:
        MalformedRequest: the body is something else.
    """
    try:
        asked = _Asked.model_validate(json.loads(body or b"{}"))
    except (ValidationError, ValueError, RecursionError):
        raise MalformedRequest(
            "the body is a JSON object with commonName, subject, names (dns:plc-21.example) and"
            " lifetimeSeconds, all optional"
        ) from None
    return Wish(
        template,
        METHOD,
        asked.commonName,
        asked.subject,
        tuple(asked.names),
        lifetime=timedelta(seconds=asked.lifetimeSeconds),
    )


def write_made(response: falcon.Response, made: NewChallenge) -> None:
    """Answer a new challenge, this one time."""
    response.status = falcon.HTTP_201
    response.set_header("Cache-Control", "no-store")
    response.media = {
        "challenge": made.challenge,
        "id": made.id,
        "template": made.template,
        "expiresAt": _written(made.expires_at),
        **_bound(made.bound),
    }


def write_list(response: falcon.Response, known: Iterable[KnownChallenge]) -> None:
    """Answer the challenges that can still be used, without their secrets."""
    response.set_header("Cache-Control", "no-store")
    response.media = {
        "challenges": [
            {
                "id": one.id,
                "method": one.method,
                "usesLeft": one.uses_left,
                "expiresAt": _written(one.expires_at),
                "createdBy": one.created_by,
                **_bound(one.bound),
            }
            for one in known
        ]
    }


def _bound(bound: Binding) -> dict[str, object]:
    return {
        "commonName": bound.common_name,
        "subject": bound.subject_text,
        "names": bound.name_texts,
    }


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
