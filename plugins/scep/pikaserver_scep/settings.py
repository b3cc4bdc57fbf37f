"""``[plugins.scep]``; each part of the plugin has its own table."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pikaserver_scep.apple.settings import ProfileSettings
from pikaserver_scep.challenges.settings import ChallengeSettings


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class AuthoritySettings(BaseModel):
    """``[plugins.scep.authorities.<name>]``: with which keys one authority speaks SCEP."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    signer: Literal["auto", "own", "ra"] = "auto"
    """``own``: the authority's key, which has to be RSA; ``ra``: a registration authority's;
    ``auto``: its own where that can decrypt, else a registration authority's."""
    separate_keys: bool = False
    """Whether a registration authority signs with one key and decrypts with another."""


class ScepSettings(BaseModel):
    """``[plugins.scep]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    default_template: str = Field(default="device", min_length=1, max_length=100)
    """The template of the paths that name none."""
    pending_days: int = Field(default=30, ge=1, le=3650)
    """How long a client may poll for what waits."""
    remember_days: int = Field(default=400, ge=1, le=3650)
    """How long a message that was served is known again."""
    authorities: Mapping[str, AuthoritySettings] = Field(default_factory=dict)
    challenges: ChallengeSettings = ChallengeSettings()
    profiles: ProfileSettings = ProfileSettings()

    def of(self, authority: str) -> AuthoritySettings:
        """Return the settings of one authority."""
        return self.authorities.get(authority) or AuthoritySettings()
