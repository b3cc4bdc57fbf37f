"""The question that is put to a policy, and its possible answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Facts = Mapping[str, str]
"""What a structure says, decoded, for the journal and for people.

``kind`` is always there.  Others by kind: ``serial`` (lower-case hexadecimal, no leading zeros),
``subject``, ``names``, ``not-before``, ``not-after``, ``subject-key``; ``crl-number``,
``scope``, ``this-update``, ``next-update``, ``revoked``.  Times are ISO 8601 in UTC.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked to sign, how, and when.

    ``key`` is the SHA-256 of ``public_key`` (SubjectPublicKeyInfo, DER); ``algorithm`` is named
    as in ``hsm_agent.structures.algorithms``; ``issuer`` is the certificate (DER) that this key
    issues under, and ``above`` the certificate of its issuer, which only the key of a
    delegated OCSP responder needs.
    """

    key: bytes
    public_key: bytes
    algorithm: str
    tbs_hash: bytes
    issuer: bytes | None
    now: datetime
    above: bytes | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """So many different ones ``of`` these approvers; ``local`` is the operator at the agent."""

    need: int
    of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may be signed now."""

    facts: Facts


@dataclass(frozen=True, slots=True)
class Denied:
    """It may not; ``code`` is one of ``hsm_agent.wire.messages.REFUSALS``.

    ``after`` says in how many milliseconds asking again makes sense, 0 where it does not.
    """

    code: str
    why: str
    facts: Facts = field(default_factory=dict)
    after: int = 0


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """It passes every rule, and may be signed once these approvals are there."""

    threshold: Approval
    facts: Facts


Verdict = Allowed | Denied | NeedsApproval
