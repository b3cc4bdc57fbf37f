"""What ``pikaserver cert issue`` can be told."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from pikaserver.cli.options import (
    DEFAULT_KEY_TYPE,
    DURATION,
    FILE,
    INPUT_FILE,
    KEM_KEY_TYPES,
    SOFTWARE_KEY_TYPES,
    bundle,
    passphrase_option,
)


@dataclass(frozen=True, slots=True)
class IssueOptions:
    """What to issue, and where the results go."""

    template: str
    csr: Path | None
    key_type: str
    key_out: Path | None
    p12_out: Path | None
    out: Path | None
    passphrase_file: Path | None
    encrypt_key: bool
    validity: timedelta | None
    dry_run: bool


issue_options = bundle(
    "wish",
    IssueOptions,
    click.option("--template", required=True, metavar="NAME", help="The template that issues it."),
    click.option("--csr", type=INPUT_FILE, metavar="FILE", help="The request, in PEM or DER."),
    click.option(
        "--key-type",
        type=click.Choice(SOFTWARE_KEY_TYPES + KEM_KEY_TYPES),
        default=DEFAULT_KEY_TYPE,
        show_default=True,
        metavar="TYPE",
        help="Without --csr: make a key of this type.  "
        f"{', '.join(SOFTWARE_KEY_TYPES + KEM_KEY_TYPES)}.",
    ),
    click.option(
        "--key-out",
        type=FILE,
        metavar="FILE",
        help="Without --csr: write the new key there, for its owner's eyes only (0600).",
    ),
    click.option(
        "--p12-out",
        type=FILE,
        metavar="FILE",
        help="Without --csr: write key, certificate and chain there as PKCS#12.",
    ),
    click.option(
        "--out",
        type=FILE,
        metavar="FILE",
        help="Write the certificate there in PEM, followed by those above it but the root.",
    ),
    passphrase_option,
    click.option("--encrypt-key", is_flag=True, help="Encrypt --key-out with a passphrase, too."),
    click.option("--validity", type=DURATION, help="Where the template lets you choose: 90d."),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Issue nothing: print every rule that was asked, and the certificate to be.",
    ),
)
