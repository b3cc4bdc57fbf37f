"""``[plugins.acme]``; what differs between directories stands in their policies."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pikaserver_acme.places import origin_of
from pikaserver_acme.validation.settings import ValidationSettings


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


class AcmeSettings(BaseModel):
    """``[plugins.acme]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    origins: tuple[str, ...] = ()
    """Further addresses by which clients reach the directories: ``https://acme.example.org``."""
    resume_every: int = Field(default=10, ge=1, le=3600)
    """Seconds between two looks for orders that were held up."""

    keep_orders_days: int = Field(default=90, ge=2, le=36_500)
    """How long orders and proofs are kept after their end, or that of their certificate."""

    validation: ValidationSettings = ValidationSettings()
    """How much is validated at a time, and where validation never goes."""

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for one in origins:
            if origin_of(one) != one:
                raise ValueError(f"{one!r} is to be scheme, host and port, and nothing else")
        return origins
