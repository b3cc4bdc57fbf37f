"""``[plugins.tsa]``."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der


def _oid(text: str) -> str:
    try:
        der.oid(text)
    except MalformedRequest as error:
        raise ValueError(str(error)) from None
    return text


Oid = Annotated[str, StringConstraints(max_length=100), AfterValidator(_oid)]
Unit = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
Hash = Literal["sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"]


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class AuthoritySettings(BaseModel):
    """``[plugins.tsa.authorities.<name>]``: how one authority stamps."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    policy: Oid = "1.3.6.1.4.1.32473.1.1"
    """The policy under which time is stamped; the default is a number for documentation."""
    policies: tuple[Oid, ...] = ()
    """Further policies that a client may ask for."""
    hashes: tuple[Hash, ...] = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
    """Which digests are stamped; SHA-1 only where it is named here."""
    accuracy_milliseconds: int = Field(default=1000, ge=0, le=3_600_000)
    """How far the time may be off; 0 says nothing about it."""
    ordering: bool = False
    """Whether each time-stamp is later than the one before; only where one node stamps."""
    units: tuple[Unit, ...] = ()
    """Further keys, each under ``/tsa/<authority>/<unit>``."""
    authenticode: bool = True
    """Whether the legacy time-stamps of Authenticode are given, too."""


class TsaSettings(BaseModel):
    """``[plugins.tsa]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    default_authority: str | None = Field(default=None, min_length=1, max_length=100)
    """Who stamps at ``/tsa``; unset: ``issuing``, or the newest authority."""
    step_tolerance_milliseconds: int = Field(default=1000, ge=10, le=60_000)
    """A clock that steps by more stops the service."""
    settle_seconds: int = Field(default=60, ge=0, le=86_400)
    """How long a clock has to run evenly after a step."""
    authorities: Mapping[str, AuthoritySettings] = Field(default_factory=dict)

    def of(self, authority: str) -> AuthoritySettings:
        """Return the settings of one authority."""
        return self.authorities.get(authority) or AuthoritySettings()
