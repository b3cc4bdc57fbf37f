"""A policy: which rules each key lives under, who approves, what may be made from afar."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hsm_agent.policy.approvers import Approver, read_approvers
from hsm_agent.policy.bindings import Binding, read_bindings
from hsm_agent.policy.faults import PolicyFault, did_you_mean
from hsm_agent.policy.profiles import read_profiles
from hsm_agent.policy.provision import ProvisionRules, read_provision
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.tables import Place
from hsm_agent.policy.verdicts import Approval
from hsm_agent.policy.warn import warnings_of

__all__ = [
    "Approval",
    "Approver",
    "Policy",
    "PolicyFault",
    "ProvisionRules",
    "read_policy",
]

VERSION = 1
TABLES = ("version", "profiles", "keys", "provision", "approvers")
LIMIT_OCTETS = 1 << 20
LIMIT_LINE = 4096
"""Octets of a line: TOML's parser takes quadratic time and room for keys of many parts."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole file; ``digest`` is its SHA-256."""

    digest: bytes
    profiles: Mapping[str, KeyRules] = field(default_factory=dict)
    keys: tuple[Binding, ...] = ()
    provision: ProvisionRules = ProvisionRules()  # noqa: RUF009 - it is frozen
    approvers: Mapping[str, Approver] = field(default_factory=dict)

    def rules(self, name: str, public_key: bytes, profile: str | None) -> KeyRules | None:
        """Return the rules of a key, ``None`` where nothing allows it anything.

        A key that the file names lives by what stands there, even if it was made from afar.

        Args:
            name: ``STORE/LABEL``.
            public_key: SubjectPublicKeyInfo in DER.
            profile: the one it was made under from afar, as the journal remembers it.
        """
        digest = hashlib.sha256(public_key).digest()
        for binding in self.keys:
            if binding.spki == digest:
                return binding.rules
        for binding in self.keys:
            if binding.name == name:
                # A foreign key in the place of the one that is meant signs nothing.
                return binding.rules if binding.spki is None else None
        return None if profile is None else self.profiles.get(profile)

    def warnings(self) -> tuple[str, ...]:
        """Return what is allowed and probably should not be, one sentence each."""
        used = {*self.provision.profiles, *(binding.profile for binding in self.keys)}
        unused = [
            f"profiles.{name}: no key and no provision uses it"
            for name in self.profiles
            if name not in used
        ]
        rules = [
            *self.profiles.values(),
            *(binding.rules for binding in self.keys if not binding.profile),
        ]
        return (*(warning for one in rules for warning in warnings_of(one)), *unused)


def read_policy(octets: bytes) -> Policy:
    """Read a policy file.

    Raises:
        PolicyFault: it is no TOML, has an unknown key, or a value makes no sense.
    """
    text, tables = _tables(octets)
    place = Place(text)
    for key in tables:
        if key not in TABLES:
            raise place.fault(key, f"is not known here{did_you_mean(key, TABLES)}")
    if tables.get("version") != VERSION:
        raise place.fault("version", f"has to be {VERSION}")
    parts = {name: _table(tables, name, place) for name in TABLES[1:]}
    approvers = read_approvers(parts["approvers"], place.below("approvers"))
    profiles = read_profiles(parts["profiles"], place.below("profiles"), approvers)
    return Policy(
        digest=hashlib.sha256(octets).digest(),
        profiles=profiles,
        keys=read_bindings(parts["keys"], place.below("keys"), profiles, approvers),
        provision=read_provision(parts["provision"], place, profiles, approvers),
        approvers=approvers,
    )


def _tables(octets: bytes) -> tuple[str, dict[str, object]]:
    if len(octets) > LIMIT_OCTETS:
        raise PolicyFault(f"a policy of more than {LIMIT_OCTETS} octets")
    if max(map(len, octets.splitlines()), default=0) > LIMIT_LINE:
        raise PolicyFault(f"a line of more than {LIMIT_LINE} octets")
    try:
        text = octets.decode()
        return text, tomllib.loads(text)
    except UnicodeDecodeError:
        raise PolicyFault("the policy is no UTF-8") from None
    except RecursionError:
        raise PolicyFault("the policy is nested too deeply") from None
    except ValueError as error:
        raise PolicyFault(f"the policy is no TOML: {error}") from None


def _table(tables: Mapping[str, object], name: str, place: Place) -> dict[str, object]:
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise place.fault(name, "has to be a table")
    return found
