"""``acme eab``: registrations that accounts are bound to."""

from datetime import timedelta

import click

from pikaserver.api.commands import console
from pikaserver_acme.commands.durations import Duration
from pikaserver_acme.moments import moment, stored
from pikaserver_acme.office import office
from pikaserver_acme.telling import bound_commands


@click.group()
def eab() -> None:
    """Hand out external accounts: who has one may open an account (RFC 8555 section 7.3.4)."""


@eab.command()
@click.option("--policy", required=True, metavar="NAME", help="The policy that it is good for.")
@click.option(
    "--uses",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="For how many accounts.",
)
@click.option("--lifetime", type=Duration(), default="30d", show_default=True, help="For how long.")
@click.option("--allow", multiple=True, metavar="PATTERN", help="For these names only.")
@click.option("--comment", default="", metavar="TEXT", help="Who got it.")
def create(
    policy: str, *, uses: int, lifetime: timedelta, allow: tuple[str, ...], comment: str
) -> None:
    """Make an external account.

    Its HMAC key is shown now and never again, with ready commands for clients.
    """
    with console().server() as server:
        here = office(server)
        new = here.externals.create(
            policy, console().actor, uses=uses, lifetime=lifetime, allow=allow, comment=comment
        )
        known = server.base_url("acme") is not None
        url = here.door.default_places(policy).directory if known else "DIRECTORY-URL"
    record = {
        "kid": new.kid,
        "hmac": new.hmac,
        "policy": policy,
        "directory": url,
        "uses": uses,
        "expires_at": moment(new.expires_at),
    }
    told = bound_commands(url, new.kid, new.hmac)
    if console().output in {"json", "yaml"}:
        console().write({**record, "commands": told})
        return
    console().write(record)
    for client, text in told.items():
        click.echo(f"\n# {client}\n{text}")


@eab.command("list")
@click.option("--policy", metavar="NAME", help="Of this policy only.")
def list_registrations(policy: str | None) -> None:
    """List external accounts, newest first, without their secrets."""
    with console().server() as server:
        now, found = stored(server.clock()), office(server).externals.all(policy)
    console().write(
        [
            {
                "kid": one.kid,
                "state": _state(one.withdrawn_at, one.uses_left, expired=one.expires_at <= now),
                "uses_left": one.uses_left,
                "uses": one.uses,
                "expires_at": moment(one.expires_at),
                "allow": list(one.allow),
                "comment": one.comment,
                "created_by": one.created_by,
            }
            for one in found
        ]
    )


@eab.command()
@click.argument("kid")
def withdraw(kid: str) -> None:
    """Make an external account worthless.

    Accounts that are bound to it stay.
    """
    with console().server() as server:
        office(server).externals.withdraw(kid, console().actor)
    console().write({"kid": kid, "state": "withdrawn"})


def _state(withdrawn_at: int | None, uses_left: int, *, expired: bool) -> str:
    if withdrawn_at is not None:
        return "withdrawn"
    if uses_left == 0:
        return "used up"
    return "expired" if expired else "usable"
