"""The form as it comes back: octets to wishes, with the tokens that say it is ours."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from pikaserver.api.errors import MalformedRequest, NotAllowed, PikaserverError, RequestRejected
from pikaserver.api.operations import Secrets

CONTENT_TYPE = "application/x-www-form-urlencoded"
PURPOSE = "scep-challenge-form"
TOKEN_LIFETIME = timedelta(hours=8)
MOST_FIELDS = 20
MOST_USES = 1000

LIFETIMES: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "8h": ("8 hours", timedelta(hours=8)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}


@dataclass(frozen=True, slots=True)
class Filled:
    """What somebody typed; shown again where it cannot be used."""

    common_name: str = ""
    subject: str = ""
    names: str = ""
    lifetime: str = "24h"
    uses: str = "1"

    @property
    def how_long(self) -> timedelta:
        """The lifetime.

        Raises:
            RequestRejected: it is none of those offered.
        """
        if self.lifetime not in LIFETIMES:
            raise RequestRejected("choose how long the challenge is good")
        return LIFETIMES[self.lifetime][1]

    @property
    def how_many(self) -> int:
        """The number of certificates.

        Raises:
            RequestRejected: it is no number, or too large.
        """
        if not (
            self.uses.isascii() and self.uses.isdigit() and 1 <= int(self.uses[:9]) <= MOST_USES
        ):
            raise RequestRejected(f"a challenge is good for 1 to {MOST_USES} certificates")
        return int(self.uses)

    @property
    def name_list(self) -> tuple[str, ...]:
        """The alternative names: one in a line, or after commas."""
        lines = self.names.replace(",", "\n").splitlines()
        return tuple(line.strip() for line in lines if line.strip())


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form; each is there once.

    Raises:
        MalformedRequest: it is no form of ours.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise MalformedRequest("the body is not a form") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedRequest("a field of the form is there twice")
    return fields


def filled(fields: Mapping[str, str]) -> Filled:
    """Return what was typed; a field that is not there is as if nobody had touched it."""
    usual = Filled()
    return Filled(
        common_name=fields.get("common_name", "").strip(),
        subject=fields.get("subject", "").strip(),
        names=fields.get("names", ""),
        lifetime=fields.get("lifetime", usual.lifetime),
        uses=fields.get("uses", usual.uses).strip(),
    )


class Tokens:
    """What a form carries to show that this page gave it to this person for this template."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def give(self, actor: str, template: str, now: datetime) -> str:
        """Return one; all nodes know it again."""
        says = _says(int(now.timestamp()), actor, template)
        return base64.urlsafe_b64encode(self._secrets.seal(PURPOSE, says)).decode()

    def check(self, token: str, actor: str, template: str, now: datetime) -> None:
        """Return when it was given to this person not long ago.

        Raises:
            NotAllowed: it was not; whoever is honest loads the page again.
        """
        try:
            says = self._secrets.open(PURPOSE, base64.urlsafe_b64decode(token.encode("ascii")))
        except (binascii.Error, ValueError, PikaserverError):
            says = b""
        given = int(says.partition(b"\0")[0] or b"0")
        age = now.timestamp() - given
        right = says == _says(given, actor, template)
        if not right or not 0 <= age <= TOKEN_LIFETIME.total_seconds():
            raise NotAllowed("this form is too old, or not from here: load the page again")


def _says(given: int, actor: str, template: str) -> bytes:
    return b"\0".join((str(given).encode(), actor.encode(), template.encode()))
