"""``[plugins.scep.challenges]``: by which methods devices prove the right to ask."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from pikaserver.api.outgoing import Proxy, Route, Trust

MethodName = Literal["one-time", "static", "ndes", "intune", "webhook", "manual"]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=2000)]
HttpsUrl = Annotated[str, StringConstraints(pattern=r"^https://[!-~]+$", max_length=2000)]
ProxyUrl = Annotated[str, StringConstraints(pattern=r"^http://[!-~]+$", max_length=2000)]
ANSWER_LIMIT_OCTETS = 1 << 20

Path = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


Network = Annotated[str, AfterValidator(_network)]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
    )


class Outgoing(_Table):
    """How a service elsewhere is reached."""

    proxy: ProxyUrl | None = None
    """An HTTP proxy (CONNECT); what goes through it is encrypted beyond it."""
    proxy_user: str | None = Field(default=None, min_length=1, max_length=200)
    proxy_password_file: Path | None = None
    ca_file: Path | None = None
    """Whose certificates are believed; unset: those that the system trusts."""
    timeout_seconds: float = Field(default=15.0, gt=0, le=120)

    @model_validator(mode="after")
    def _complete(self) -> "Outgoing":
        if (self.proxy_user is None) != (self.proxy_password_file is None):
            raise ValueError("proxy-user and proxy-password-file go together")
        return self

    @property
    def route(self) -> Route:
        """The same for connections."""
        proxy = self.proxy and Proxy(self.proxy, self.proxy_user, self.proxy_password_file)
        return Route(
            timeout_seconds=self.timeout_seconds,
            exchange_seconds=self.timeout_seconds,
            answer_limit_octets=ANSWER_LIMIT_OCTETS,
            trust=Trust(self.ca_file),
            proxy=proxy or None,
        )


class IntuneSettings(Outgoing):
    """``[plugins.scep.challenges.intune.<name>]``: one tenant's validation service."""

    tenant: str = Field(pattern=r"^[A-Za-z0-9.-]{1,100}$")
    """The tenant's id, or a domain of it: ``contoso.onmicrosoft.com``."""
    application_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    secret_file: Path
    """The client secret of the app registration."""
    login_url: HttpsUrl = "https://login.microsoftonline.com/"
    graph_url: HttpsUrl = "https://graph.microsoft.com/"
    resource_url: HttpsUrl = "https://api.manage.microsoft.com/"
    give_up_hours: int = Field(default=24, ge=1, le=720)
    """How long a device waits while the service does not answer."""
    revocations: bool = True
    """Whether Intune's orders to revoke are fetched and carried out."""


class WebhookSettings(Outgoing):
    """``[plugins.scep.challenges.webhooks.<name>]``: a service of yours that decides."""

    url: Url
    secret_file: Path
    """With which requests are signed (HMAC-SHA256), so that the service knows us."""


class NdesSettings(_Table):
    """``[plugins.scep.challenges.ndes]``: the page where programs fetch passwords."""

    lifetime_minutes: int = Field(default=60, ge=1, le=10_080)
    most_open: int = Field(default=1000, ge=1, le=1_000_000)
    """Passwords of one template that may wait to be used."""
    encoding: Literal["utf-16", "utf-8"] = "utf-16"
    """NDES answers in UTF-16LE; who asks with ``Accept-Charset: utf-8`` gets that."""
    thumbprint: Literal["md5", "sha1", "sha256"] = "sha256"
    default_template: str = Field(default="device", min_length=1, max_length=100)
    """The template of ``/CertSrv/mscep_admin/``."""
    operators: tuple[str, ...] = ()
    """Templates whose client certificates are those of operators."""


class TemplateChallenges(_Table):
    """``[plugins.scep.challenges.templates.<template>]``."""

    methods: tuple[MethodName, ...] = ("one-time", "static")
    """Asked in this order; the first one that knows the password decides."""
    networks: tuple[Network, ...] = ()
    """From where requests are taken; empty: from anywhere."""
    ndes_networks: tuple[Network, ...] = ()
    """From where the NDES page answers; empty: from anywhere."""
    guesses: int = Field(default=20, ge=1, le=10_000)
    """Wrong passwords from one address before it has to wait."""
    intune: str | None = None
    webhook: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "TemplateChallenges":
        if ("intune" in self.methods) != (self.intune is not None):
            raise ValueError("the method intune and the setting intune go together")
        if ("webhook" in self.methods) != (self.webhook is not None):
            raise ValueError("the method webhook and the setting webhook go together")
        return self


class ChallengeSettings(_Table):
    """``[plugins.scep.challenges]``."""

    templates: Mapping[str, TemplateChallenges] = Field(default_factory=dict)
    ndes: NdesSettings = NdesSettings()
    intune: Mapping[str, IntuneSettings] = Field(default_factory=dict)
    webhooks: Mapping[str, WebhookSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> "ChallengeSettings":
        for template, rules in self.templates.items():
            for kind, name, known in (
                ("intune", rules.intune, self.intune),
                ("webhooks", rules.webhook, self.webhooks),
            ):
                if name is not None and name not in known:
                    raise ValueError(
                        f"templates.{template} names {kind}.{name}, which is not there"
                    )
        return self

    def of(self, template: str) -> TemplateChallenges:
        """Return the rules of one template."""
        return self.templates.get(template) or TemplateChallenges()
