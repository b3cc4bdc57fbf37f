"""``acme account``: who has one, and who has it no more."""

import click

from pikaserver.api.commands import Record, console
from pikaserver_acme.moments import moment
from pikaserver_acme.office import office
from pikaserver_acme.records import Account, Status


@click.group()
def account() -> None:
    """See the accounts, and take them back."""


@account.command("list")
@click.option("--policy", metavar="NAME", help="Of this policy only.")
@click.option("--after", type=int, metavar="ID", help="Go on after this one.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many."
)
def list_accounts(policy: str | None, after: int | None, limit: int) -> None:
    """List accounts, newest first."""
    with console().server() as server:
        here = office(server)
        policy_id = None if policy is None else here.policies.get(policy).id
        names = {one.id: one.name for one in here.policies.all()}
        found = here.accounts.page(policy_id, after, limit)
    console().write([_record(one, names) for one in found])


@account.command()
@click.argument("number", type=int)
def show(number: int) -> None:
    """Show one account."""
    with console().server() as server:
        here = office(server)
        names = {one.id: one.name for one in here.policies.all()}
        found = here.accounts.get(number)
    console().write({**_record(found, names), "thumbprint": found.thumbprint})


@account.command()
@click.argument("number", type=int)
def revoke(number: int) -> None:
    """Take an account back.

    Its key can do nothing more; its certificates stay.
    """
    with console().server() as server:
        here = office(server)
        names = {one.id: one.name for one in here.policies.all()}
        found = here.accounts.end(here.accounts.get(number), Status.REVOKED, console().actor)
    console().write(_record(found, names))


def _record(found: Account, policies: dict[int, str]) -> Record:
    return {
        "id": found.id,
        "policy": policies[found.policy_id],
        "status": found.status.value,
        "contacts": list(found.contacts),
        "bound": found.external_account_id is not None,
        "address": found.address,
        "created_at": moment(found.created_at),
    }
