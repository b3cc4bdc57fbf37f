"""``pikaserver version``: what runs here, for reports of faults."""

import platform

import click

from pikaserver import api
from pikaserver.cli.invocation import Invocation, command_options
from pikaserver.plugin_discovery import version_of


@click.command()
@command_options
def version(invocation: Invocation) -> None:
    """Print the versions of what runs here."""
    from cryptography.hazmat.backends.openssl.backend import backend

    invocation.write(
        {
            "pikaserver": version_of("pikaserver"),
            "plugin_api": ".".join(map(str, api.VERSION)),
            "python": platform.python_version(),
            "cryptography": version_of("cryptography"),
            "openssl": backend.openssl_version_text(),
            "system": platform.platform(terse=True),
        }
    )
