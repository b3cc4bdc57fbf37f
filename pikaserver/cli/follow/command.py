"""``pikaserver crl follow``: options and exit codes."""

import signal
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from pikaserver.cli.follow.choices import AccessOptions, Destination
from pikaserver.cli.options import DURATION, FILE, INPUT_FILE, bundle

SCHEMES = ("http://", "https://", "mqtt://", "mqtts://")


_destination = bundle(
    "destination",
    Destination,
    click.option("--out", type=FILE, metavar="FILE", help="Where CRLs of plain URLs go, together."),
    click.option("--pem", is_flag=True, help="Write PEM; several CRLs in one file always are."),
    click.option("--signal", metavar="NAME", help="Send it after a change: HUP, USR2."),
    click.option("--pid-file", type=FILE, metavar="FILE", help="Whose process gets the signal."),
    click.option("--touch", type=FILE, metavar="FILE", help="Touch a file after a change."),
)
_access = bundle(
    "access",
    AccessOptions,
    click.option(
        "--issuer",
        type=INPUT_FILE,
        multiple=True,
        metavar="FILE",
        help="Certificates of the CAs that sign the CRLs.",
    ),
    click.option("--ca-file", type=INPUT_FILE, metavar="FILE", help="Whom to trust in TLS."),
    click.option("--client-certificate", type=INPUT_FILE, metavar="FILE", help="Ours, in TLS."),
    click.option("--client-key", type=INPUT_FILE, metavar="FILE", help="Its key."),
    click.option("--user", metavar="NAME", help="Sign in by name, over HTTP or MQTT."),
    click.option("--password-file", type=INPUT_FILE, metavar="FILE", help="The password."),
)


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL[=FILE]...")
@_destination
@_access
@click.option(
    "--every",
    type=DURATION,
    default="30s",
    show_default=True,
    metavar="TIME",
    help="Between two looks.",
)
@click.option(
    "--timeout",
    type=DURATION,
    default="30s",
    show_default=True,
    metavar="TIME",
    help="For an answer.",
)
@click.option("--once", is_flag=True, help="Look once, then stop.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show where an error arose.")
def follow(
    urls: tuple[str, ...],
    destination: Destination,
    access: AccessOptions,
    every: timedelta,
    timeout: timedelta,
    *,
    once: bool,
) -> None:
    """Keep files of CRLs fresh, and tell who reads them.

    For brokers and proxies that only read a file; nothing of a server is needed. URLs are of
    HTTP, or topics of a broker (mqtts://HOST/TOPIC). A CRL takes its place at one stroke, once
    its signature is verified, and never an older one.

    With --once, exit code 0 says that each file is there and holds; 1 that a CRL was refused, 4
    that a server could not be reached and a file is missing, 6 that a CRL has ended.
    """
    from pikaserver.cli.follow.running import follow_all

    files = _files(urls, destination)
    code = follow_all(files, destination, access, (every, timeout), once=once)
    click.get_current_context().exit(code)


def _files(urls: Sequence[str], destination: Destination) -> dict[Path, list[str]]:
    """Return which URLs each file is for.

    Raises:
        click.UsageError: it is not clear.
    """
    if (destination.signal is None) != (destination.pid_file is None):
        raise click.UsageError("--signal and --pid-file belong together")
    if destination.signal and f"SIG{destination.signal}" not in signal.Signals.__members__:
        raise click.UsageError(f"--signal should be a name like 'HUP', not {destination.signal!r}")
    found: dict[Path, list[str]] = {}
    for text in urls:
        url, equals, file = text.rpartition("=")
        # A URL may have an equals sign itself; a file begins like a path.
        if not equals or not file.startswith(("/", "./", "../")):
            url, file = text, "" if destination.out is None else str(destination.out)
        if not url.startswith(SCHEMES):
            raise click.UsageError(f"{url!r} should begin with {', '.join(SCHEMES)}")
        if not file:
            raise click.UsageError(f"{url} needs a file: --out FILE, or URL=/PATH or URL=./PATH")
        found.setdefault(Path(file), []).append(url)
    if destination.out is not None and destination.out not in found:
        raise click.UsageError("--out is for URLs without a file of their own")
    return found
