"""``[keys."STORE/LABEL"]``: one key of this host and its rules."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from hsm_agent.policy import values
from hsm_agent.policy.faults import WrongValue, did_you_mean
from hsm_agent.policy.profiles import read_rules
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.tables import Place

_OWN = ("spki", "profile", "certificate")
_SPKI = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Binding:
    """A key and its rules; ``spki`` is the SHA-256 of its SubjectPublicKeyInfo, if told.

    ``profile`` is empty where the rules stand with the key.
    """

    name: str
    spki: bytes | None
    profile: str
    rules: KeyRules


def read_bindings(
    tables: Mapping[str, object],
    place: Place,
    profiles: Mapping[str, KeyRules],
    approvers: Collection[str],
) -> tuple[Binding, ...]:
    """Read all keys.

    Raises:
        PolicyFault: one is wrong, or two are the same key.
    """
    found: list[Binding] = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise place.fault(name, "has to be a table")
        binding = _read_binding(name, table, place, profiles, approvers)
        if binding.spki is not None and binding.spki in [other.spki for other in found]:
            raise place.below(name).fault("spki", "is that of another key in this file")
        found.append(binding)
    return tuple(found)


def _read_binding(
    name: str,
    table: dict[str, object],
    place: Place,
    profiles: Mapping[str, KeyRules],
    approvers: Collection[str],
) -> Binding:
    below = place.below(name)
    own, rest = ({k: v for k, v in table.items() if (k in _OWN) == one} for one in (True, False))
    read = {}
    for key, entry in own.items():
        try:
            read[key] = values.text(entry)
            _check(key, read[key], profiles)
        except WrongValue as wrong:
            raise below.fault(key, str(wrong)) from None
    if "/" not in name and "spki" not in read:
        raise place.fault(name, "has to be STORE/LABEL, or to have the key's spki")
    profile = read.get("profile", "")
    if profile and rest:
        raise below.fault(next(iter(rest)), f"stands beside profile = {profile!r}; choose one")
    rules = profiles[profile] if profile else read_rules(rest, f"keys.{name}", below, approvers)
    spki = _SPKI.fullmatch(read.get("spki", ""))
    certificate = read.get("certificate", "")
    return Binding(
        name=name,
        spki=bytes.fromhex(spki[1]) if spki else None,
        profile=profile,
        rules=replace(rules, certificate=certificate),
    )


def _check(key: str, text: str, profiles: Mapping[str, KeyRules]) -> None:
    if key == "spki" and not _SPKI.fullmatch(text):
        raise WrongValue("has to be 'sha256:' and 64 small hexadecimal digits")
    if key == "profile" and text not in profiles:
        hint = did_you_mean(text, profiles)
        raise WrongValue(f"has {text!r}, and there is no [profiles.{text}]{hint}")
