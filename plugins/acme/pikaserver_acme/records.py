"""The objects of ACME as the database knows them; times are milliseconds since 1970."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pikaserver_acme.identifiers import Identifier
from pikaserver_acme.policies.rules import PolicyRules


class Status(StrEnum):
    """The words of RFC 8555 section 7.1.6, and ``canceled`` of RFC 8739."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy: one directory."""

    id: int
    name: str
    rules: PolicyRules
    enabled: bool


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """A registration that an account can be bound to; ``allow`` narrows the policy's patterns."""

    id: int
    policy_id: int
    kid: str
    sealed_key: bytes = field(repr=False)
    uses: int
    uses_left: int
    allow: tuple[str, ...]
    comment: str
    created_at: int
    created_by: str
    expires_at: int
    withdrawn_at: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: a key, and how to reach its holder."""

    id: int
    policy_id: int
    thumbprint: str
    key: str
    status: Status
    contacts: tuple[str, ...]
    terms_agreed_at: int | None
    external_account_id: int | None
    external_account_binding: str | None
    address: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """The wish for certificates that follow one another (RFC 8739)."""

    start_at: int
    end_at: int
    lifetime_seconds: int
    adjust_seconds: int
    allow_get: bool
    token: str
    issued: int = 0
    next_at: int | None = None
    canceled_at: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, and how far it is."""

    id: int
    account_id: int
    status: Status
    identifiers: tuple[Identifier, ...]
    profile: str | None
    not_before: int | None
    not_after: int | None
    replaces: str | None
    created_at: int
    expires_at: int
    csr: bytes | None
    finalized_at: int | None
    request_id: int | None
    certificate_id: int | None
    error: Mapping[str, object] | None
    trace: str | None
    second_csr: bytes | None
    second_id: int | None


@dataclass(frozen=True, slots=True)
class Authorization:
    """Whether an account controls an identifier; ``identifier`` is without the asterisk."""

    id: int
    account_id: int
    identifier: Identifier
    wildcard: bool
    subdomains: bool
    status: Status
    pre_approved: bool
    created_at: int
    expires_at: int
    validated_at: int | None
    validated_by: str | None
    facts: Mapping[str, str]

    @property
    def proves(self) -> Identifier:
        """What was asked for: with the asterisk again."""
        if not self.wildcard:
            return self.identifier
        return Identifier(self.identifier.type, f"*.{self.identifier.value}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to prove an identifier."""

    id: int
    authorization_id: int
    type: str
    token: str
    status: Status
    response: bytes | None
    begun_at: int | None
    validated_at: int | None
    error: Mapping[str, object] | None
