"""``[plugins.est]``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Prefix = Annotated[
    str, StringConstraints(pattern=r"^(/[A-Za-z0-9][A-Za-z0-9._~-]{0,62}){1,8}$", max_length=200)
]


class EstSettings(BaseModel):
    """``[plugins.est]``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )

    default_template: str = Field(default="device", min_length=1, max_length=100)
    """The template of the paths without a label."""
    realm: str = Field(default="pikaserver", pattern=r"^[ !#-\[\]-~]{1,100}$")
    """What clients show to people when they ask for user and code."""
    path_prefixes: tuple[Prefix, ...] = ()
    """Further paths under which ``/.well-known/est`` stands, as proxies pass them on."""
    keep_keys_days: int = Field(default=7, ge=1, le=365)
    """How long a key that the server made waits, sealed, for the approval of its request."""
