"""``[provision]``: what the server may have made here."""
# ruff: noqa: RUF009 - rule makes fields of frozen rules

from collections.abc import Collection
from dataclasses import dataclass

from hsm_agent.policy import values
from hsm_agent.policy.profiles import check_approval
from hsm_agent.policy.tables import Place, read_table, rule
from hsm_agent.policy.verdicts import Approval
from hsm_agent.structures.algorithms import KEY_TYPES


@dataclass(frozen=True, slots=True)
class ProvisionRules:
    """What may be made from afar: in which profiles and stores, of which types, how many keys.

    No profile or no number is nothing at all; no store or type named is all of them.
    ``approval`` is ``None`` where nobody has to agree.
    """

    profiles: tuple[str, ...] = rule(values.texts, ())
    stores: tuple[str, ...] = rule(values.texts, ())
    key_types: tuple[str, ...] = rule(values.list_of(values.one_of(KEY_TYPES, "a type of key")), ())
    max_keys: int = rule(values.count, 0)
    approval: Approval | None = rule(values.approval, values.AT_THE_HOST)


def read_provision(
    found: dict[str, object],
    place: Place,
    profiles: Collection[str],
    approvers: Collection[str],
) -> ProvisionRules:
    """Read ``[provision]``; ``place`` is that of the whole file.

    Raises:
        PolicyFault: it names a profile or an approver that is not there.
    """
    below = place.below("provision")
    rules = read_table(found, ProvisionRules(), below)
    for name in rules.profiles:
        if name not in profiles:
            raise below.fault("profiles", f"has {name!r}, and there is no [profiles.{name}]")
    check_approval(rules.approval, approvers, below)
    return rules
