"""The command ``scep``: each noun stands in a module of its own."""

import click

from pikaserver_scep.apple.commands import profile
from pikaserver_scep.challenges.commands import challenge, ndes, passphrase


@click.group()
def scep() -> None:
    """Challenges, passphrases and profiles for devices that enrol by SCEP."""


for _command in (challenge, passphrase, ndes, profile):
    scep.add_command(_command)
