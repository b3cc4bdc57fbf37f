"""The commands ``scep challenge``, ``scep passphrase`` and ``scep ndes``."""

from datetime import timedelta

import click

from pikaserver.api.commands import console
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.binding import Binding
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.challenges.static import Passphrases
from pikaserver_scep.durations import DURATION


@click.group()
def challenge() -> None:
    """One-time challenges: each is good for one certificate, or so many."""


@challenge.command("create")
@click.option("--template", default="device", show_default=True, help="By whose rules.")
@click.option("--uses", type=int, default=1, show_default=True, help="For how many certificates.")
@click.option("--lifetime", type=DURATION, default="24h", show_default=True, help="For how long.")
@click.option("--common-name", metavar="CN", help="Good for this name only.")
@click.option("--subject", metavar="NAME", help="For this subject only: 'CN=plc-21,O=Acme,C=CH'.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="KIND:NAME",
    help="For these alternative names only: dns:plc-21.example, ip:192.0.2.21, email:a@b.example."
    "  Repeatable.",
)
def create_challenge(
    *,
    template: str,
    uses: int,
    lifetime: timedelta,
    common_name: str | None,
    subject: str | None,
    names: tuple[str, ...],
) -> None:
    """Make a challenge; it is shown now and never again.

    Bound to names, it is good for requests that ask for exactly these.
    """
    wish = Wish(
        template,
        uses=uses,
        lifetime=lifetime,
        common_name=common_name,
        subject=subject,
        names=names,
    )
    with console().server() as server:
        made = OneTimeChallenges(server).create(wish, console().actor)
    console().write(
        {
            "challenge": made.challenge,
            "id": made.id,
            "template": made.template,
            **_bound(made.bound),
            "uses": uses,
            "expires_at": made.expires_at,
        }
    )


@challenge.command("list")
def list_challenges() -> None:
    """List challenges, newest first, without their secrets."""
    with console().server() as server:
        known = OneTimeChallenges(server).list()
    console().write(
        [
            {
                "id": one.id,
                "template": one.template,
                "method": one.method,
                **_bound(one.bound),
                "uses_left": one.uses_left,
                "expires_at": one.expires_at,
                "created_by": one.created_by,
            }
            for one in known
        ]
    )


def _bound(bound: Binding) -> dict[str, object]:
    return {
        "common_name": bound.common_name,
        "subject": bound.subject_text,
        "names": bound.name_texts,
    }


@challenge.command("withdraw")
@click.argument("challenge_id", metavar="ID", type=int)
def withdraw_challenge(challenge_id: int) -> None:
    """Make a challenge worthless."""
    with console().server() as server:
        OneTimeChallenges(server).withdraw(challenge_id, console().actor)


@click.group()
def passphrase() -> None:
    """Static passphrases: one for all devices of a template."""


@passphrase.command("create")
@click.option("--template", default="device", show_default=True, help="By whose rules.")
@click.option("--ask", is_flag=True, help="Type one that devices have already.")
def create_passphrase(*, template: str, ask: bool) -> None:
    """Make a passphrase; it is shown now and never again."""
    chosen: str | None = click.prompt("Passphrase", hide_input=True, err=True) if ask else None
    with console().server() as server:
        made = Passphrases(server).create(template, console().actor, chosen)
    shown = None if chosen else made.passphrase
    console().write({"passphrase": shown, "id": made.id, "template": made.template})


@passphrase.command("list")
def list_passphrases() -> None:
    """List the passphrases that count, without their secrets."""
    with console().server() as server:
        rows = Passphrases(server).list()
    console().write([dict(row._mapping) for row in rows])  # noqa: SLF001 - SQLAlchemy's public name


@passphrase.command("withdraw")
@click.argument("passphrase_id", metavar="ID", type=int)
def withdraw_passphrase(passphrase_id: int) -> None:
    """Make a passphrase worthless."""
    with console().server() as server:
        Passphrases(server).withdraw(passphrase_id, console().actor)


@click.group()
def ndes() -> None:
    """Accounts of programs that fetch challenges: from the NDES page, or as JSON."""


@ndes.command("create")
@click.argument("user")
@click.option("--template", help="The only one that it may fetch for.  [default: all]")
@click.option("--ask", is_flag=True, help="Type a password instead of having one made.")
def create_account(user: str, *, template: str | None, ask: bool) -> None:
    """Make an account; its password is shown now and never again."""
    chosen: str | None = click.prompt("Password", hide_input=True, err=True) if ask else None
    with console().server() as server:
        made = NdesAccounts(server).create(user, console().actor, template=template, chosen=chosen)
    shown = None if chosen else made.password
    console().write({"user": made.user, "password": shown, "template": made.template})


@ndes.command("list")
def list_accounts() -> None:
    """List the accounts."""
    with console().server() as server:
        rows = NdesAccounts(server).list()
    console().write([dict(row._mapping) for row in rows])  # noqa: SLF001 - SQLAlchemy's public name


@ndes.command("withdraw")
@click.argument("user")
def withdraw_account(user: str) -> None:
    """Remove an account."""
    with console().server() as server:
        NdesAccounts(server).withdraw(user, console().actor)
