"""``[profiles.NAME]`` and the rules of single keys: read, then checked as a whole."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from hsm_agent.policy import values
from hsm_agent.policy.faults import did_you_mean
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.tables import Place, read_table
from hsm_agent.policy.verdicts import Approval
from hsm_agent.structures.kinds import KINDS, RAW


def read_profiles(
    tables: Mapping[str, object], place: Place, approvers: Collection[str]
) -> dict[str, KeyRules]:
    """Read all profiles by name.

    Raises:
        PolicyFault: one is wrong.
    """
    return {
        name: read_rules(table, f"profiles.{name}", place.below(name), approvers)
        for name, table in tables.items()
    }


def read_rules(found: object, name: str, place: Place, approvers: Collection[str]) -> KeyRules:
    """Read the rules of a profile or of one key.

    Raises:
        PolicyFault: no kind is allowed, raw is not alone, there are rules for a kind that is
            not allowed, or an approver is not known.
    """
    rules = replace(read_table(found, KeyRules(), place), name=name)
    if not rules.kinds:
        raise place.fault("kinds", f"has to name what may be signed: {', '.join(KINDS)}")
    if RAW in rules.kinds and len(rules.kinds) > 1:
        raise place.fault("kinds", "has 'raw', which is never together with another kind")
    for kind in KINDS:
        if kind not in rules.kinds and isinstance(found, dict) and kind in found:
            raise place.fault(kind, "has rules, and 'kinds' does not name it")
        check_approval(rules.approval(kind), approvers, place.below(kind))
    return rules


def check_approval(approval: Approval | None, approvers: Collection[str], place: Place) -> None:
    """Return when every approver is known.

    Raises:
        PolicyFault: one is not.
    """
    known = (*approvers, values.LOCAL)
    for name in approval.of if approval else ():
        if name not in known:
            hint = did_you_mean(name, known)
            raise place.fault("approval", f"names {name!r}, who is no approver{hint}")
