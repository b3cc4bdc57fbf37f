"""``acme order``: what was asked for, and everything that came of it."""

import json

import click

from pikaserver.api.commands import Record, console
from pikaserver.api.server import Server
from pikaserver.asn1.serials import write_serial
from pikaserver_acme.finalizing import shown
from pikaserver_acme.moments import moment, stored
from pikaserver_acme.office import Office, office
from pikaserver_acme.records import Authorization, Order


@click.group()
def order() -> None:
    """See the orders."""


@order.command("list")
@click.option("--account", type=int, metavar="ID", help="Of this account only.")
@click.option("--after", type=int, metavar="ID", help="Go on after this one.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many."
)
def list_orders(account: int | None, after: int | None, limit: int) -> None:
    """List orders, newest first."""
    with console().server() as server:
        now = stored(server.clock())
        found = office(server).ordering.page(account, after, limit)
    console().write([_record(one, now) for one in found])


@order.command()
@click.argument("number", type=int)
def show(number: int) -> None:
    """Show an order with its whole trace.

    Proofs with every attempt, decisions, the certificate.
    """
    with console().server() as server:
        here = office(server)
        found = here.ordering.get(number)
        now = stored(server.clock())
        proofs = [_proof(here, one) for one in here.ordering.proofs(found)]
        certificate = _certificate(server, found.certificate_id)
        second = _certificate(server, found.second_id)
    decisions = [] if found.trace is None else json.loads(found.trace)
    whole = {
        **_record(found, now),
        "profile": found.profile,
        "replaces": found.replaces,
        "expires_at": moment(found.expires_at),
        "finalized_at": None if found.finalized_at is None else moment(found.finalized_at),
        "request": found.request_id,
        "certificate": certificate,
        "second_certificate": second,
        "error": None if found.error is None else str(found.error.get("detail")),
    }
    if console().output in {"json", "yaml"}:
        console().write({**whole, "authorizations": proofs, "decisions": decisions})
        return
    console().write(whole)
    _write_trace(proofs, decisions)


def _write_trace(proofs: list[Record], decisions: list[dict[str, object]]) -> None:
    for proof in proofs:
        click.echo(f"\n{proof['identifier']}: {proof['status']}, {proof['how']}")
        for line in _lines(proof):
            click.echo(f"  {line}")
    if decisions:
        click.echo("\ndecisions:")
    for one in decisions:
        verdict = "yes" if one["allowed"] else "no"
        click.echo(f"  {one['rule']}: {one['asked']}: {verdict}, {one['why']}")


def _lines(proof: Record) -> list[str]:
    found = proof["attempts"]
    return [str(one) for one in found] if isinstance(found, list) else []


def _proof(here: Office, found: Authorization) -> Record:
    attempts: list[str] = []
    for challenge in here.proving.challenges(found):
        for one in here.proving.attempts(challenge.id):
            at = moment(int(str(one["at"])))
            attempts.append(f"{challenge.type} #{one['number']} {at:%H:%M:%S} {one['line']}")
    return {
        "identifier": found.proves.value,
        "status": found.status.value,
        "how": "pre-approved" if found.pre_approved else (found.validated_by or "not proved"),
        "facts": dict(found.facts),
        "attempts": attempts,
    }


def _certificate(server: Server, number: int | None) -> str | None:
    if number is None:
        return None
    record = server.certificates.get(number)
    return f"{write_serial(record.serial)} ({record.status})"


def _record(found: Order, now: int) -> Record:
    return {
        "id": found.id,
        "account": found.account_id,
        "status": shown(found, now).value,
        "identifiers": [one.value for one in found.identifiers],
        "created_at": moment(found.created_at),
    }
