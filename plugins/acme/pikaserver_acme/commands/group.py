"""``pikaserver acme``: policies, external accounts, accounts, orders."""

import click

from pikaserver_acme.commands.account import account
from pikaserver_acme.commands.eab import eab
from pikaserver_acme.commands.order import order
from pikaserver_acme.commands.policy import policy


@click.group()
def acme() -> None:
    """Give certificates by ACME (RFC 8555), by policies that each have a directory."""


for noun in (policy, eab, account, order):
    acme.add_command(noun)
