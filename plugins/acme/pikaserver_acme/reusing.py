"""What an account has proved, and which of it counts for what it asks now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pikaserver_acme.identifiers import DNS, Identifier
from pikaserver_acme.moments import stored
from pikaserver_acme.records import Authorization, Policy, Status
from pikaserver_acme.storage import authorizations
from pikaserver_acme.wishes import AskedName

LASTING = timedelta(minutes=10)
"""A proof that ends sooner is not taken for a new order, which would end with it."""


@dataclass(frozen=True, slots=True)
class Needed:
    """An authorization that an order needs: one that is there, or one to be made."""

    identifier: Identifier
    subdomains: bool
    found: Authorization | None
    pre_approved: bool

    @property
    def proved(self) -> bool:
        """Whether there is nothing left to do."""
        return self.found is not None or self.pre_approved


def reusable(
    connection: Connection,
    policy: Policy,
    account_id: int,
    asked: Sequence[Identifier],
    now: datetime,
) -> list[Authorization]:
    """Return the valid authorizations of an account that may count for these identifiers.

    One that the policy gave without a challenge counts only while the policy would again.
    """
    above = policy.rules.subdomains
    values = {v for one in asked for v in (authorizations.ancestors(one) if above else [one.base])}
    found = authorizations.valid_ones(connection, account_id, sorted(values), stored(now))
    return [one for one in found if _is_taken(policy, one)]


def counts(policy: Policy, proof: Authorization, now: datetime) -> bool:
    """Tell whether a proof of an order's own account counts at this time."""
    lasts = proof.status is Status.VALID and proof.expires_at > stored(now)
    return lasts and _is_taken(policy, proof)


def _is_taken(policy: Policy, proof: Authorization) -> bool:
    if proof.subdomains and not policy.rules.subdomains:
        return False
    return policy.rules.approves(proof.proves) if proof.pre_approved else True


def one_needed(policy: Policy, name: AskedName, usable: Sequence[Authorization]) -> Needed:
    """Return what one name needs: what is there already, or a proof to be made."""
    asked, rules = name.identifier, policy.rules
    reuse = [one for one in usable if one.pre_approved or rules.reuse_authorizations]
    approved = rules.approves(asked)
    if name.ancestor is None or (approved and name.ancestor != asked.value):
        found = authorizations.covering(reuse, asked)
        return Needed(asked, subdomains=False, found=found, pre_approved=approved)
    above = Identifier(DNS, name.ancestor)
    if above == asked:  # what is wanted is a proof for names below, too
        reuse = [one for one in reuse if one.subdomains]
    found = authorizations.covering(reuse, asked)
    return Needed(above, subdomains=True, found=found, pre_approved=False)
