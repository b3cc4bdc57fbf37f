"""``[plugins.agents]``: where agents dial, how fast their silence is noticed, how long we wait."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_HIGHEST_PORT = 65535


class AgentSettings(BaseModel):
    """``[plugins.agents]``."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-")
    )

    bind: str = "0.0.0.0:8444"
    """Where agents are awaited; the socket is open only while there is an agent or a code."""
    address: str = ""
    """How agents reach this node, ``HOST`` or ``HOST:PORT``; empty: ``bind``, or the hostname."""
    heartbeat: int = Field(default=500, ge=50, le=30_000)
    """Milliseconds between two signs of life."""
    dead: int = Field(default=1500, ge=200, le=120_000)
    """Milliseconds of silence after which an agent counts as gone."""
    queue: int = Field(default=8, ge=0, le=1000)
    """Requests for one key that may wait while its agents have all that they take at once."""
    deadline: int = Field(default=30, ge=1, le=600)
    """Seconds that a signature may take."""
    code_validity: int = Field(default=15, ge=1, le=10_080)
    """Minutes for which an enrolment code is good."""
    tls_key: Literal["ec-p256", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] = "ec-p256"
    """The kind of this node's TLS key towards agents."""
    frame_key: Literal["ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] = "ed25519"
    """The kind of the key that signs this node's frames."""
    several: Literal["standby", "shared"] = "standby"
    """Whether further agents with the same key wait for the first to fail, or share the work."""

    @field_validator("bind")
    @classmethod
    def _is_bind(cls, value: str) -> str:
        if host_and_port(value) is None:
            raise ValueError(f"should look like '0.0.0.0:8444' or '[::]:8444', not {value!r}")
        return value

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and host_and_port(value) is None and (":" in value or "/" in value):
            raise ValueError(f"should look like 'pki.example:8444', not {value!r}")
        return value

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.dead < 2 * self.heartbeat:
            raise ValueError("dead should be at least twice the heartbeat")
        return self


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the halves of ``host:port`` or ``[::1]:port``, ``None`` where it is neither."""
    host, colon, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = host == f"[{bare}]"
    if not colon or not bare or (":" in bare) != bracketed:
        return None
    if not (port.isascii() and port.isdecimal() and int(port) <= _HIGHEST_PORT):
        return None
    return bare, int(port)


def join(host: str, port: int) -> str:
    """Return ``host:port``, with brackets where the host is an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
