"""Options by which a second certificate is issued that is bound to the first (RFC 9763)."""

from dataclasses import dataclass
from pathlib import Path

import click

from pikaserver.cli.options import FILE, KEY_TYPES, bundle

_KEY_TYPE = "ml-dsa-65"


@dataclass(frozen=True, slots=True)
class PairOptions:
    """The template of the second certificate, and where its key and itself go."""

    pair: str | None
    pair_key_type: str
    pair_key_out: Path | None
    pair_out: Path | None


pair_options = bundle(
    "pairing",
    PairOptions,
    click.option(
        "--pair",
        metavar="TEMPLATE",
        help="Issue a second certificate by this template, bound to the first (RFC 9763).",
    ),
    click.option(
        "--pair-key-type",
        type=click.Choice(KEY_TYPES),
        default=_KEY_TYPE,
        show_default=True,
        metavar="TYPE",
        help="The type of its key.",
    ),
    click.option(
        "--pair-key-out", type=FILE, metavar="FILE", help="Write its key there, as --key-out does."
    ),
    click.option("--pair-out", type=FILE, metavar="FILE", help="Write it there, as --out does."),
)
