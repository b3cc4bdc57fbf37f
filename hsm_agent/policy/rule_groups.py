# ruff: noqa: RUF009 - rule and part make fields of frozen rules
"""Groups of rules that several kinds share; their keys stand in the kind's own table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from hsm_agent.policy import name_forms, values
from hsm_agent.policy.name_forms import Hosts, Mailboxes, Uris
from hsm_agent.policy.subject_patterns import ANY_SUBJECT, SubjectPattern
from hsm_agent.policy.tables import part, rule
from hsm_agent.policy.values import KeyKind, Network
from hsm_agent.policy.verdicts import Approval
from hsm_agent.policy.vocabulary import EXTENSIONS

T = TypeVar("T")

oids = values.list_of(values.oid_of({}, "a name"))
"""Reads a list of dotted OIDs, or of ``*``."""


def _wrapped(
    wrap: Callable[[tuple[str, ...]], T], read: Callable[[str], str]
) -> Callable[[object], T]:
    return lambda found: wrap(values.list_of(read)(found))


def oids_of(*names: str) -> tuple[str, ...]:
    """Return the dotted OIDs of extensions by name."""
    return tuple(EXTENSIONS[name] for name in names)


@dataclass(frozen=True, slots=True)
class Rates:
    """How many different structures may be signed; ``None`` is no limit."""

    per_minute: int | None = rule(values.at_least_one, None)
    per_hour: int | None = rule(values.at_least_one, None)
    per_day: int | None = rule(values.at_least_one, None)


@dataclass(frozen=True, slots=True)
class Gate:
    """What every kind can ask for: people who agree, and rates."""

    approval: Approval | None = rule(values.approval, None)
    rates: Rates = part(Rates())


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long certificates live; ``max_validity`` is counted from now on."""

    max_validity: timedelta = rule(values.duration, timedelta(days=398))
    max_backdate: timedelta = rule(values.duration, timedelta(hours=48))


@dataclass(frozen=True, slots=True)
class Contents:
    """Keys, subjects, usages and extensions; OIDs are dotted."""

    subject_keys: tuple[KeyKind, ...] = rule(
        values.list_of(values.key_kind),
        (
            KeyKind("rsa", 2048),
            *map(KeyKind, ("ec-p256", "ec-p384", "ec-p521", "ed25519", "ed448")),
            *map(KeyKind, ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")),
        ),
    )
    subjects: tuple[SubjectPattern, ...] = rule(values.subjects, (ANY_SUBJECT,))
    key_usage: tuple[str, ...] = rule(
        values.list_of(values.key_usage), ("digitalSignature", "keyEncipherment", "keyAgreement")
    )
    extended_key_usage: tuple[str, ...] = rule(values.list_of(values.purpose), ())
    extensions: tuple[str, ...] = rule(
        values.list_of(values.extension),
        oids_of(
            "subjectKeyIdentifier",
            "keyUsage",
            "subjectAltName",
            "basicConstraints",
            "nameConstraints",
            "cRLDistributionPoints",
            "certificatePolicies",
            "authorityKeyIdentifier",
            "extKeyUsage",
            "freshestCRL",
            "authorityInfoAccess",
            "tlsFeature",
            "ocspNoCheck",
        ),
    )
    critical_extensions: tuple[str, ...] = rule(
        values.list_of(values.critical_extension),
        oids_of("keyUsage", "subjectAltName", "basicConstraints", "nameConstraints", "extKeyUsage"),
    )


@dataclass(frozen=True, slots=True)
class Names:
    """Names in certificates; of a kind whose list is empty there may be none."""

    dns: Hosts = rule(_wrapped(Hosts, name_forms.host_base), Hosts())
    wildcards: bool = rule(values.yes_or_no, True)  # noqa: FBT003 - a default
    email: Mailboxes = rule(_wrapped(Mailboxes, name_forms.mailbox), Mailboxes())
    ip: tuple[Network, ...] = rule(values.networks, ())
    uri: Uris = rule(_wrapped(Uris, name_forms.uri_entry), Uris())
    upn: Mailboxes = rule(_wrapped(Mailboxes, name_forms.mailbox), Mailboxes())
    dirname: tuple[SubjectPattern, ...] = rule(values.subjects, ())
    other_names: tuple[str, ...] = rule(oids, ())
