"""The rules of one policy, as they are stored and as ``acme policy`` shows them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from pikaserver.api.errors import RequestRejected
from pikaserver_acme.identifiers import DNS, Identifier, allows, check_pattern
from pikaserver_acme.validation.question import Limits, VantagePoint
from pikaserver_acme.validation.resolver import is_loopback
from pikaserver_acme.validation.settings import (
    DnsServer,
    Network,
    RootCertificates,
    SourceAddress,
)

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""What a private PKI validates: the ranges of RFC 1918, RFC 6598 and RFC 4193."""
LOOPBACK = ("127.0.0.0/8", "::1/128")


def _pattern(text: str) -> str:
    try:
        return check_pattern(text)
    except RequestRejected as refusal:
        raise ValueError(str(refusal)) from None


def _unless_said(networks: object) -> object:
    return PRIVATE if networks is None else networks


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


POLICY_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_pattern)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=500)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Challenge = Literal[
    "http-01",
    "dns-01",
    "tls-alpn-01",
    "dns-account-01",
    "dns-persist-01",
    "device-attest-01",
]
Attestation = Literal["apple", "step", "tpm"]
HTTP, HTTPS = 80, 443
_HOUR = 3600
_DAY = 24 * _HOUR
_STRICT = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens, populate_by_name=True)


class Profile(BaseModel):
    """What a client may ask for by name: another template."""

    model_config = _STRICT

    template: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=500)


class Vantage(BaseModel):
    """A place from which validation looks."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=40)
    dns: tuple[DnsServer, ...] = ()
    source: SourceAddress | None = None


class RateLimits(BaseModel):
    """How often something may be asked; 0 is no limit."""

    model_config = _STRICT

    accounts_per_address_per_hour: int = Field(default=100, ge=0)
    orders_per_account_per_hour: int = Field(default=1000, ge=0)
    certificates_per_names_per_day: int = Field(default=50, ge=0)
    failures_per_identifier_per_hour: int = Field(default=30, ge=0)
    pending_authorizations: int = Field(default=1000, ge=0)


class AutoRenewal(BaseModel):
    """Whether certificates that follow one another are given (RFC 8739), and how long."""

    model_config = _STRICT

    allowed: bool = False
    least_lifetime_seconds: int = Field(default=_HOUR, ge=60)
    longest_duration_seconds: int = Field(default=365 * _DAY, ge=_HOUR)
    get_without_account: bool = True


class PolicyRules(BaseModel):
    """What one directory allows, and how it finds out."""

    model_config = _STRICT

    template: str = Field(min_length=1, max_length=100)
    description: str = Field(default="", max_length=500)
    profiles: Mapping[Name, Profile] = Field(default_factory=dict)
    allow: tuple[Pattern, ...] = ("*",)
    deny: tuple[Pattern, ...] = ()
    pre_approved: tuple[Pattern, ...] = ()
    wildcards: bool = True
    subdomains: bool = False
    names_limit: int = Field(default=100, ge=1, le=1000)
    key_types: tuple[str, ...] = ()
    challenges: tuple[Challenge, ...] = ("http-01", "dns-01", "tls-alpn-01")
    eab: Literal["none", "optional", "required"] = "optional"
    terms_of_service: Url | None = None
    website: Url | None = None
    caa_identities: tuple[str, ...] = ()
    http_port: Port = HTTP
    https_port: Port = HTTPS
    tls_port: Port = HTTPS
    dns: tuple[DnsServer, ...] = ()
    reachable: Annotated[tuple[Network, ...], BeforeValidator(_unless_said)] = PRIVATE
    """What validation reaches besides public addresses."""
    reachable_directly: tuple[Network, ...] = ()
    """What it reaches besides where the identifier itself leads there, and no redirect."""
    vantage_points: tuple[Vantage, ...] = ()
    dissenting: int = Field(default=0, ge=0, le=10)
    attestation_roots: Mapping[Attestation, tuple[RootCertificates, ...]] = Field(
        default_factory=dict
    )
    order_seconds: int = Field(default=7 * _DAY, ge=60)
    authorization_seconds: int = Field(default=30 * _DAY, ge=60)
    reuse_authorizations: bool = True
    limits: RateLimits = RateLimits()
    auto_renewal: AutoRenewal = AutoRenewal()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not self.challenges and not self.pre_approved:
            raise ValueError("without challenges and pre-approved names nobody gets anything")
        if self.vantage_points and self.dissenting >= len(self.vantage_points):
            raise ValueError("of the vantage points at least one has to agree")
        return self

    def allows(self, asked: Identifier) -> bool:
        """Tell whether an identifier may be asked for at all; what is denied stays denied."""
        if asked.wildcard and not self.wildcards:
            return False
        if allows(self.deny, asked) or self._denies_some(asked):
            return False
        return allows(self.allow, asked)

    def approves(self, asked: Identifier) -> bool:
        """Tell whether an identifier needs no challenge."""
        return allows(self.pre_approved, asked)

    def template_of(self, profile: str | None) -> str:
        """Return the template that a profile stands for; without one that of the policy."""
        return self.template if profile is None else self.profiles[profile].template

    @property
    def tests_here(self) -> bool:
        """Whether clients seem to run beside this server: by a port or a DNS server of their own.

        Nothing is reached by that alone; a command that makes such a policy opens loopback in it.
        """
        servers = (*self.dns, *(each for one in self.vantage_points for each in one.dns))
        usual = self.http_port == HTTP and self.tls_port == HTTPS
        return not usual or any(is_loopback(each) for each in servers)

    def validation(self) -> Limits:
        """Return what validation is told."""
        points = tuple(VantagePoint(one.name, one.dns, one.source) for one in self.vantage_points)
        return Limits(
            http_port=self.http_port,
            https_port=self.https_port,
            tls_port=self.tls_port,
            reachable=self.reachable,
            reachable_directly=self.reachable_directly,
            vantage_points=points or (VantagePoint("here", self.dns),),
            dissenting=self.dissenting,
            caa_identities=self.caa_identities,
            attestation_roots={str(kind): pems for kind, pems in self.attestation_roots.items()},
        )

    def _denies_some(self, asked: Identifier) -> bool:
        """A wildcard stands for the names that are denied below it, too."""
        below = f".{asked.base}"
        return asked.wildcard and any(pattern.endswith(below) for pattern in self.deny)


@lru_cache(maxsize=256)
def stored_rules(text: str) -> PolicyRules:
    """Return rules as they are stored."""
    return PolicyRules.model_validate_json(text)


def written_rules(rules: PolicyRules) -> str:
    """Return rules as they are stored: what differs from the defaults of later days, too."""
    return rules.model_dump_json(by_alias=True)


def read_rules(wishes: Mapping[str, object]) -> PolicyRules:
    """Return the rules that an operator wrote.

    Raises:
        RequestRejected: one cannot be; all are named.
    """
    try:
        return PolicyRules.model_validate(wishes)
    except ValidationError as error:
        complaints = (
            f"{'.'.join(map(str, one['loc'])) or 'the policy'}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise RequestRejected("; ".join(complaints)) from None


def challenge_types(rules: PolicyRules, asked: Identifier, *, subdomains: bool) -> tuple[str, ...]:
    """Return the challenges that can prove an identifier.

    A wildcard, or a name whose proof counts for names below, is proved in the DNS (RFC 8555
    section 7.1.3); an address by http-01 and tls-alpn-01 (RFC 8738 section 4).
    """
    in_dns = ("dns-01", "dns-account-01", "dns-persist-01")
    usable: tuple[str, ...]
    if asked.type == DNS:
        usable = in_dns if asked.wildcard or subdomains else ("http-01", "tls-alpn-01", *in_dns)
    elif asked.type == "ip":
        usable = ("http-01", "tls-alpn-01")
    else:
        usable = ("device-attest-01",)
    return tuple(one for one in rules.challenges if one in usable)
