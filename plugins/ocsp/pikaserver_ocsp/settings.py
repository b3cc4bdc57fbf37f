"""``[plugins.ocsp]`` and ``[plugins.ocsp.authorities.<name>]``."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Unit = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,19}$")]


class Terms(BaseModel):
    """How it is answered for one authority."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signer: Literal["delegated", "own"] = "delegated"
    """``delegated``: a responder certified by the authority; ``own``: the authority's key."""
    responder_id: Literal["key", "name"] = "key"
    """Whether the responder is told by the hash of its key or by its name."""
    units: tuple[_Unit, ...] = ()
    """Further responders, for clients that prefer another signature algorithm."""
    validity_seconds: int = Field(default=12 * 3600, ge=120, le=10 * 86_400)
    """How long an answer counts; after half of it the next one is made."""
    max_age: int = Field(default=60, ge=0, le=86_400)
    """Seconds that caches may keep an answer: so much later at most a revocation is seen."""
    nonce: Literal["echo", "ignore"] = "echo"
    """``ignore`` answers from what is signed already, as RFC 5019 has it."""
    never_issued: Literal["unknown", "revoked", "unauthorized"] = "unknown"
    """What is said of a serial number that the authority never gave out."""
    archive_days: int | None = Field(default=None, ge=1, le=36_525)
    """For how long after a certificate's end its status is told: archiveCutoff."""
    warm: bool = False
    """Whether answers for all unexpired certificates are kept ready."""

    @property
    def validity(self) -> timedelta:
        """How long an answer counts; both its ends belong to it (RFC 5280 section 4.1.2.5)."""
        return timedelta(seconds=self.validity_seconds - 1)


class OcspSettings(Terms):
    """``[plugins.ocsp]``: the terms of all authorities, and what concerns none of them alone."""

    authorities: dict[str, Terms] = Field(default_factory=dict)
    """What is different for one of them."""
    requestors: Literal["ignore", "check", "demand"] = "ignore"
    """Whether signatures of requests count: not, where there is one, or always."""
    requestor_authorities: tuple[str, ...] = ()
    """Whose certificates requestors sign with; empty: those of all our authorities."""
    answers_in_memory: int = Field(default=10_000, ge=100)
    """Answers that each node keeps at hand, beside those in the database."""
    refresh_every: int = Field(default=30, ge=1, le=3600)
    """Seconds between two looks for answers that are due."""
    keep_days: int = Field(default=3, ge=0, le=366)
    """How long answers for which nobody asks any more are kept fresh."""

    def terms(self, authority: str) -> Terms:
        """Return how it is answered for an authority."""
        own = self.authorities.get(authority)
        if own is None:
            return self
        return self.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
