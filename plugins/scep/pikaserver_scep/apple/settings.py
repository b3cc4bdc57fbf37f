"""``[plugins.scep.profiles]``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ProfileSettings(BaseModel):
    """What profiles say of who made them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )

    organization: str = Field(default="pikaserver", min_length=1, max_length=100)
    identifier: str = Field(default="org.pikaserver", pattern=r"^[A-Za-z0-9.-]{1,100}$")
    """Profiles of one identifier replace each other on a device: your domain, turned round."""
    ca_fingerprint: Literal["sha1", "sha256", "none"] = "sha1"
    """By which hash the device knows the authority; SHA-1 is known to all its systems."""
    retries: int = Field(default=3, ge=0, le=100)
    retry_delay_seconds: int = Field(default=10, ge=1, le=3600)
