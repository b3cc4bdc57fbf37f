"""The host's settings, section by section, as checked values."""

import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_HIGHEST_PORT = 65535


class Section(BaseModel):
    """What all sections share: they refuse unknown keys and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _once(names: tuple[str, ...], complaint: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(complaint.format(name))


class DataSettings(Section):
    """``[data]``: where everything lives that is not in the database."""

    directory: Path = Path("data")


class DatabaseSettings(Section):
    """``[database]``; without a URL it is SQLite in the data folder."""

    url: str = Field(default="", repr=False)


class KeySourceKind(StrEnum):
    """Where the key-encryption key, or the passphrase it is made from, comes from."""

    FILE = "file"
    CREDENTIAL = "credential"
    ENVIRONMENT = "environment"
    PROMPT = "prompt"


def _key_source(text: str) -> str:
    kind, colon, name = text.partition(":")
    if kind == KeySourceKind.PROMPT and not colon:
        return text
    if kind in {KeySourceKind.FILE, KeySourceKind.CREDENTIAL, KeySourceKind.ENVIRONMENT} and name:
        return text
    raise ValueError(
        f"should be 'file:PATH', 'credential:NAME', 'environment:NAME' or 'prompt', not {text!r}"
    )


Draft = Literal["draft-ietf-lamps-pq-composite-sigs-19"]
"""The drafts whose algorithms are known here; ``pikaserver.asn1.composite`` is that of one."""


class KeySettings(Section):
    """``[keys]``: what the software keys are sealed with, and files that list bad public keys."""

    key_encryption_key: Annotated[str, AfterValidator(_key_source)] = "file:key-encryption-key"
    refused: tuple[str, ...] = ()
    allow_draft_algorithms: tuple[Draft, ...] = ()

    @property
    def kind(self) -> KeySourceKind:
        """Which kind of place it is."""
        return KeySourceKind(self.key_encryption_key.partition(":")[0])

    @property
    def name(self) -> str:
        """The file (relative to the data folder), credential or variable; empty for a prompt."""
        return self.key_encryption_key.partition(":")[2]


class PluginSettings(Section):
    """``[plugins]``: which are enabled, in the order in which they are asked.

    The sections ``[plugins.<name>]`` are checked against each plugin's own model.
    """

    enabled: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        _once(self.enabled, "enabled names {} twice")
        return self


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"should look like 'https://pki.example:8443', not {text!r}")
    return text.rstrip("/")


class ServerSettings(Section):
    """``[server]``: what this node is called, and where clients reach it."""

    hostname: str | None = None
    node: int = Field(default=1, ge=1, le=127)
    base_urls: Mapping[str, Annotated[str, AfterValidator(_base_url)]] = Field(default_factory=dict)


class LogSettings(Section):
    """``[logs]``: written to standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class LimitSettings(Section):
    """``[limits]``, and those of one listener where it names its own.

    How large a body may be is a matter of each service.
    """

    header_octets: int = Field(default=16 * 1024, ge=1024, le=1024 * 1024)
    target_octets: int = Field(default=8 * 1024, ge=256, le=64 * 1024)
    connections: int = Field(default=1000, ge=1, le=100_000)
    connections_per_address: int = Field(default=50, ge=1, le=100_000)
    handshake_seconds: float = Field(default=10, gt=0, le=600)
    head_seconds: float = Field(default=10, gt=0, le=600)
    request_seconds: float = Field(default=30, gt=0, le=3600)
    idle_seconds: float = Field(default=60, gt=0, le=3600)
    workers: int = Field(default=8, ge=1, le=256)
    waiting_requests: int = Field(default=200, ge=0, le=10_000)


class TlsFiles(Section):
    """A certificate with its key: ``auto`` (our own, renewed by itself), or two PEM files."""

    certificate: str
    key: str | None = None

    @property
    def automatic(self) -> bool:
        """Whether the certificate comes from our own authority."""
        return self.certificate == "auto"

    @model_validator(mode="after")
    def _key_with_file(self) -> Self:
        if self.automatic and self.key is not None:
            raise ValueError("takes no key beside certificate = 'auto'")
        if not self.automatic and self.key is None:
            raise ValueError("needs a key beside its certificate")
        return self


class TlsSettings(TlsFiles):
    """A listener's certificate, and further ones with other kinds of keys."""

    also: tuple[TlsFiles, ...] = ()


def _bind(text: str) -> str:
    if text.startswith("unix:"):
        if not text.startswith("unix:/"):
            raise ValueError(f"should be 'unix:' and an absolute path, not {text!r}")
        return text
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and host and (bracketed or ":" not in host)):
        raise ValueError(f"should be 'HOST:PORT', '[::]:PORT' or 'unix:/PATH', not {text!r}")
    if not (port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT):
        raise ValueError(f"should end in a port from 0 to {_HIGHEST_PORT}, not {port!r}")
    return text


def _proxy(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"should hold addresses and networks: {error}") from error
    return text


class ListenerSettings(Section):
    """``[listeners.<name>]``: one socket and the services that it serves."""

    bind: Annotated[str, AfterValidator(_bind)]
    tls: TlsSettings | None = None
    client_certificates: Literal["none", "optional", "required"] = "none"
    serve: tuple[str, ...] = Field(min_length=1)
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = ()
    proxy_certificate_header: str | None = Field(default=None, pattern="^[A-Za-z][A-Za-z0-9-]*$")
    limits: LimitSettings = LimitSettings()

    @property
    def unix_path(self) -> str | None:
        """The path of a Unix socket, ``None`` for TCP."""
        return self.bind.removeprefix("unix:") if self.bind.startswith("unix:") else None

    @property
    def address(self) -> tuple[str, int]:
        """Host, without brackets, and port of a TCP listener."""
        host, _, port = self.bind.rpartition(":")
        return host.strip("[]"), int(port)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.client_certificates != "none" and self.tls is None:
            raise ValueError("asks for client-certificates and has no tls")
        # Whoever may open a Unix socket is a proxy.
        proxied = self.trusted_proxies or self.unix_path
        if self.proxy_certificate_header is not None and not proxied:
            raise ValueError("has a proxy-certificate-header and names no trusted-proxies")
        _once(self.serve, "serves {} twice")
        return self


class PublishingSettings(Section):
    """``[publishing]``: when a publisher's target that failed is tried again."""

    first_retry_seconds: float = Field(default=2, gt=0, le=3600)
    longest_retry_seconds: float = Field(default=300, gt=0, le=86_400)
    alarm_after: int = Field(default=5, ge=1, le=1000)


class AuditSettings(Section):
    """``[audit]``: checkpoints of the audit trail that are signed by the clock."""

    checkpoint_hours: float = Field(default=0, ge=0, le=8760)
    checkpoint_authority: str = "issuing"
    checkpoint_folder: str = Field(default="checkpoints", min_length=1)


class HostSettings(Section):
    """All settings of the host."""

    data: DataSettings = DataSettings()
    database: DatabaseSettings = DatabaseSettings()
    keys: KeySettings = KeySettings()
    plugins: PluginSettings = PluginSettings()
    listeners: dict[str, ListenerSettings] = Field(default_factory=dict)
    server: ServerSettings = ServerSettings()
    logs: LogSettings = LogSettings()
    limits: LimitSettings = LimitSettings()
    publishing: PublishingSettings = PublishingSettings()
    audit: AuditSettings = AuditSettings()

    @model_validator(mode="after")
    def _listeners_apart(self) -> Self:
        taken: dict[str, str] = {}
        for name, listener in self.listeners.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"listeners.{name}: a name has small letters, digits and hyphens")
            fixed = not listener.bind.endswith(":0")
            if fixed and taken.setdefault(listener.bind, name) != name:
                raise ValueError(f"listeners {taken[listener.bind]} and {name} share one address")
        return self

    def limits_of(self, listener: str) -> LimitSettings:
        """Return the limits of a listener: its own where it names them, else the host's."""
        own = self.listeners[listener].limits
        return self.limits.model_copy(update=own.model_dump(exclude_unset=True))

    def path(self, text: str) -> Path:
        """Return a file that a setting names; relative ones start at the data folder."""
        return self.data.directory / text
