"""The settings of targets, by their kinds: ``[plugins.publish.targets.<name>]``."""

import re
import signal
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pikaserver.api.outgoing import Trust

Scope = Literal["full", "delta", "shards"]

_HOST = re.compile(r"[A-Za-z0-9.:_-]{1,255}", re.ASCII)
_MODE = re.compile(r"0?[0-7]{3}", re.ASCII)
_TARGET = re.compile(r"[a-z][a-z0-9-]{0,59}", re.ASCII)


class Section(BaseModel):
    """What all sections share: they refuse unknown keys and never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"should be an absolute path, not {path!r}")
    return path


def _url(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        parts = urlsplit(text)
        # The name of an LDAP socket is percent-encoded.
        host = parts.hostname if parts.scheme != "ldapi" else parts.netloc
        if parts.scheme not in schemes or not host or parts.username or parts.fragment:
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(f"should be a URL with {wanted} and without user, not {text!r}")
        return text

    return AfterValidator(check)


def _mode(text: str) -> str:
    if not _MODE.fullmatch(text):
        raise ValueError(f"should be permissions like '0644', not {text!r}")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError(f"should be the name or the address of a host, not {text!r}")
    return text


Path = Annotated[str, AfterValidator(_absolute)]


class TargetSettings(Section):
    """What all kinds share: what goes there, and for how long to wait."""

    authorities: tuple[str, ...] = ()
    """Whose CRLs and certificates; none named: those of all."""
    scopes: tuple[Scope, ...] | None = None
    """Which CRLs: ``full``, ``delta``, ``shards``; unset: all to which the name gives room."""
    crl: str | None = Field(default=None, min_length=1, max_length=1000)
    """The name of a CRL there."""
    certificate: str | None = Field(default=None, min_length=1, max_length=1000)
    """The name of an authority's certificate there."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long a connection may do nothing."""


class TlsSettings(Section):
    """Whom to trust, and who we are."""

    ca_file: Path | None = None
    """Certificates in PEM that the target's is checked against; unset: those of the system."""
    client_certificate: Path | None = None
    """Our certificate and those above it, in PEM."""
    client_key: Path | None = None
    """Its key; unset: it stands in the same file."""

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("has a client-key and no client-certificate")
        return self

    @property
    def trust(self) -> Trust:
        """The same for connections."""
        return Trust(self.ca_file, self.client_certificate, self.client_key)


class FileTarget(TargetSettings):
    """A folder on this host."""

    kind: Literal["file"]
    form: Literal["der", "pem"] = "der"
    mode: Annotated[str, AfterValidator(_mode)] = "0644"
    every_node: bool = True
    """Whether each node writes, or one of them: then the folder is shared."""
    signal: str | None = None
    """What the process of ``pid-file`` is sent after a change: ``HUP``, ``USR2``."""
    pid_file: Path | None = None
    touch: Path | None = None
    """A file whose time becomes the present after a change."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in (self.crl, self.certificate):
            if name is not None and not name.startswith("/"):
                raise ValueError(f"should name files by absolute paths, not {name!r}")
        if (self.signal is None) != (self.pid_file is None):
            raise ValueError("should have both of signal and pid-file, or none")
        if self.signal is not None and f"SIG{self.signal}" not in signal.Signals.__members__:
            raise ValueError(f"signal should be a name like 'HUP', not {self.signal!r}")
        return self


class HttpTarget(TargetSettings, TlsSettings):
    """A server that takes files by PUT; ``crl`` and ``certificate`` are URLs."""

    kind: Literal["http"]
    form: Literal["der", "pem"] = "der"
    user: str | None = Field(default=None, pattern="^[^:\\x00-\\x1f]+$")
    password_file: Path | None = None
    token_file: Path | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in (self.crl, self.certificate):
            if name is not None and not name.startswith(("https://", "http://")):
                raise ValueError(f"should name URLs with https:// or http://, not {name!r}")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("should have both of user and password-file, or none")
        if self.user is not None and self.token_file is not None:
            raise ValueError("should have a user or a token-file, not both")
        return self


class S3Target(TargetSettings, TlsSettings):
    """A bucket of Amazon S3, or of something that speaks its protocol."""

    kind: Literal["s3"]
    form: Literal["der", "pem"] = "der"
    endpoint: Annotated[str, _url("https", "http")]
    bucket: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$")
    region: str = Field(default="us-east-1", pattern="^[a-z0-9-]{1,40}$")
    access_key: str = Field(pattern="^[!-~]{1,128}$")
    secret_key_file: Path
    session_token_file: Path | None = None
    path_style: bool = True
    """Whether the bucket stands in the path, or before the host's name."""
    compare_and_swap: bool = True
    """Whether the target takes If-Match: then two writers cannot overtake each other."""
    max_age: int = Field(default=60, ge=0, le=86_400)
    """Seconds that caches may keep what is fetched there."""


class LdapTarget(TargetSettings, TlsSettings):
    """A directory (RFC 4523); ``crl`` and ``certificate`` are distinguished names."""

    kind: Literal["ldap"]
    url: Annotated[str, _url("ldap", "ldaps", "ldapi")]
    start_tls: bool = False
    bind_dn: str | None = Field(default=None, min_length=1, max_length=1000)
    password_file: Path | None = None
    external: bool = False
    """Whether our client certificate, or our account at the socket, says who we are."""
    create: bool = True
    """Whether entries that are missing are made."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.bind_dn is None) != (self.password_file is None):
            raise ValueError("should have both of bind-dn and password-file, or none")
        if self.external == (self.bind_dn is not None):
            raise ValueError("should have a bind-dn, or external = true")
        scheme = urlsplit(self.url).scheme
        if self.start_tls and scheme != "ldap":
            raise ValueError("start-tls is for ldap:// only")
        if self.bind_dn is not None and scheme == "ldap" and not self.start_tls:
            raise ValueError("would send the password in clear: ldaps://, or start-tls = true")
        if self.external and scheme != "ldapi" and self.client_certificate is None:
            raise ValueError("external = true needs a client-certificate, or ldapi://")
        return self


class MqttTarget(TargetSettings, TlsSettings):
    """A broker; ``crl``, ``certificate`` and ``status`` are topics."""

    kind: Literal["mqtt"]
    form: Literal["der", "pem"] = "der"
    host: Annotated[str, AfterValidator(_host)]
    port: int = Field(default=8883, ge=1, le=65_535)
    tls: bool = True
    protocol: Literal["5", "3.1.1"] = "5"
    client_id: str | None = Field(default=None, pattern="^[A-Za-z0-9._-]{1,60}$")
    user: str | None = Field(default=None, min_length=1, max_length=200)
    password_file: Path | None = None
    status: str | None = Field(default=None, min_length=1, max_length=1000)
    """The topic of news: a new CRL, a certificate revoked, held or released."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.user is None and self.password_file is not None:
            raise ValueError("has a password-file and no user")
        if not self.tls and (self.password_file or self.client_certificate):
            raise ValueError("would send the password in clear: tls = true")
        for topic in (self.crl, self.certificate, self.status):
            if topic is not None and re.search(r"[+#\x00]|^\$", topic):
                raise ValueError(f"should name topics without wildcards, not {topic!r}")
        return self


Kind = FileTarget | HttpTarget | S3Target | LdapTarget | MqttTarget


class PublishSettings(Section):
    """``[plugins.publish]``."""

    targets: dict[str, Annotated[Kind, Field(discriminator="kind")]] = Field(default_factory=dict)
    """By the operator's own names."""

    @model_validator(mode="after")
    def _named_well(self) -> Self:
        for name, target in self.targets.items():
            if not _TARGET.fullmatch(name):
                raise ValueError(f"targets.{name}: a name has small letters, digits and hyphens")
            if not (target.crl or target.certificate or getattr(target, "status", None)):
                raise ValueError(f"targets.{name} should name a crl or a certificate")
        return self
