"""What options are made of: types that read an operator's words, and options in bundles."""

import functools
import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import click

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1.serials import read_serial

R = TypeVar("R")
Decorator = Callable[[Callable[..., R]], Callable[..., R]]

SOFTWARE_KEY_TYPES = (
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "ec-p256",
    "ec-p384",
    "ec-p521",
    "ec-secp256k1",
    "ed25519",
    "ed448",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
)
"""The types of the keys that software makes without a library of its own."""

KEY_TYPES = (
    *SOFTWARE_KEY_TYPES,
    *(
        f"slh-dsa-{family}-{size}"
        for family in ("sha2", "shake")
        for size in ("128s", "128f", "192s", "192f", "256s", "256f")
    ),
)
"""The names of ``pikaserver.asn1.algorithms.KEY_TYPES``, which help shall not import."""

KEM_KEY_TYPES = ("ml-kem-768", "ml-kem-1024")
"""Keys that cannot sign, of the kinds that are made here."""

KEY_FORMS = ("seed", "expanded", "both", "oqs")
"""The names of ``pikaserver.asn1.private_key_forms.FORMS``."""

HASHES = ("sha256", "sha384", "sha512")
DEFAULT_KEY_TYPE = "ec-p256"


class KeyType(click.Choice[str]):
    """The type of a key; those of a draft are named by whoever allows them in the settings."""

    def __init__(self) -> None:
        super().__init__(KEY_TYPES)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Let names of drafts pass: who makes the key knows whether they are allowed."""
        if isinstance(value, str) and value.startswith("composite-"):
            return value
        return super().convert(value, param, ctx)


class Duration(click.ParamType[timedelta, object]):
    """``90d``, ``12h``, ``10y``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a number with its unit."""
        from pikaserver.authority.templates.durations import read_duration

        if isinstance(value, timedelta):
            return value
        try:
            return read_duration(str(value))
        except RequestRejected as refusal:
            self.fail(str(refusal), param, ctx)


class Moment(click.ParamType[datetime, object]):
    """A day or a point in time in ISO 8601; without an offset it is UTC."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read a date, with a time or without."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is not a date like 2026-12-31 or 2026-12-31T18:00:00Z", param, ctx
            )
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Serial(click.ParamType[int, object]):
    """A serial number in hex."""

    name = "serial"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read what openssl printed."""
        if isinstance(value, int):
            return value
        try:
            return read_serial(str(value))
        except MalformedRequest as error:
            self.fail(str(error), param, ctx)


class Reason(click.ParamType[RevocationReason, object]):
    """Why a certificate is revoked, as RFC 5280 spells it, in kebab case, or in small letters."""

    name = "reason"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> RevocationReason:
        """Find the reason that is meant."""
        if isinstance(value, RevocationReason):
            return value
        known = {_letters(reason.name): reason for reason in RevocationReason}
        reason = known.get(_letters(str(value)))
        if reason is None or reason is RevocationReason.REMOVE_FROM_CRL:
            names = ", ".join(REASONS)
            self.fail(f"{value!r} is not a reason; there are: {names}", param, ctx)
        return reason


class Url(click.ParamType[str, object]):
    """A URL with one of some schemes."""

    name = "url"

    def __init__(self, *schemes: str) -> None:
        self._schemes = schemes

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the form."""
        text = str(value)
        scheme, separator, rest = text.partition("://")
        if not separator or not rest or not text.isascii() or re.search(r"\s", text):
            self.fail(f"{text!r} is not a URL like {self._schemes[0]}://pki.example/", param, ctx)
        if scheme not in self._schemes:
            allowed = " or ".join(f"{one}://" for one in self._schemes)
            self.fail(f"{text!r} has to begin with {allowed}", param, ctx)
        return text


REASONS = tuple(
    reason.name.lower().replace("_", "-")
    for reason in RevocationReason
    if reason is not RevocationReason.REMOVE_FROM_CRL
)

DURATION = Duration()
MOMENT = Moment()
SERIAL = Serial()
REASON = Reason()
# A pointer over HTTPS would need the very certificate that is being checked.
POINTER_URL = Url("http", "ldap")
PAGE_URL = Url("http", "https")
FILE = click.Path(path_type=Path, dir_okay=False)
INPUT_FILE = click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True)

out_option = click.option(
    "--out", type=FILE, metavar="FILE", help="Write there instead of standard output."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
passphrase_option = click.option(
    "--passphrase-file",
    type=INPUT_FILE,
    metavar="FILE",
    help="Read the passphrase from the first line of a file ('-': standard input), "
    "instead of asking for it.",
)


def bundle(name: str, kind: type, *options: Decorator[R]) -> Decorator[R]:
    """Let a command take options that arrive together, as the fields of one dataclass.

    Args:
        name: of the function's argument.
        kind: the dataclass; its fields are called like the options.
        options: in the order in which help shows them.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def with_bundle(**values: object) -> R:
            own = {field.name: values.pop(field.name) for field in fields(kind)}
            return function(**{name: kind(**own)}, **values)

        decorated: Callable[..., R] = with_bundle
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a deed that cannot be undone, unless ``--yes`` was given.

    Raises:
        click.Abort: the answer is no, or there is nobody to ask.
    """
    if not yes:
        click.confirm(question, abort=True, err=True)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())
