"""``pikaserver code``: enrolment codes, which let a device ask for its certificate."""

from datetime import timedelta

import click

from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.cli.options import DURATION, confirm, yes_option


@click.group()
def code() -> None:
    """Hand out codes by which devices enrol, over EST for instance.

    A code is a user name and a secret, good for one template and for so many certificates.
    """


@code.command()
@click.option("--template", required=True, metavar="NAME", help="The template that it is good for.")
@click.option(
    "--uses",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="For how many certificates.",
)
@click.option("--lifetime", type=DURATION, default="7d", show_default=True, help="For how long.")
@click.option("--user", metavar="NAME", help="The user name.  [default: made up]")
@click.option(
    "--common-name",
    metavar="CN",
    help="Good for this name only, as common name (CN) and as any other.",
)
@command_options
def create(
    invocation: Invocation,
    *,
    template: str,
    uses: int,
    lifetime: timedelta,
    user: str | None,
    common_name: str | None,
) -> None:
    """Make a code; its secret is shown now and never again."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        new = server.codes.create(
            template,
            invocation.actor,
            uses=uses,
            lifetime=lifetime,
            user=user,
            common_name=common_name,
        )
        stored = server.codes.find(new.user)
    invocation.write(
        {
            "user": new.user,
            "code": new.code,
            "template": new.template,
            "uses": new.uses,
            "common_name": common_name,
            "expires_at": stored and stored.expires_at,
        }
    )


@code.command("list")
@command_options
def list_codes(invocation: Invocation) -> None:
    """List the codes, newest first, without their secrets."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        now, found = server.clock(), server.codes.list()
    invocation.write(
        [
            {
                "user": one.user,
                "state": _state(one.uses_left, expired=one.expires_at <= now),
                "template": one.template,
                "uses_left": one.uses_left,
                "expires_at": one.expires_at,
                "common_name": one.common_name,
                "created_by": one.created_by,
            }
            for one in found
        ]
    )


@code.command()
@click.argument("user")
@yes_option
@command_options
def withdraw(invocation: Invocation, user: str, *, yes: bool) -> None:
    """Make a code worthless before it is used up."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        confirm(f"Make the code of {user} worthless?", yes=yes)
        server.codes.withdraw(user, invocation.actor)
    invocation.write({"user": user, "state": "withdrawn"})


def _state(uses_left: int, *, expired: bool) -> str:
    if uses_left == 0:
        return "used up"
    return "expired" if expired else "usable"
