"""Options by which a second certificate is issued that is bound to the first (RFC 9763)."""

from dataclasses import dataclass
from pathlib import Path

import click

from pikaserver.cli.options import FILE, INPUT_FILE, KEY_TYPES, bundle

_KEY_TYPE = "ml-dsa-65"


@dataclass(frozen=True, slots=True)
class PairOptions:
    """The template of the second certificate, its request or key, and where it goes."""

    pair: str | None
    pair_csr: Path | None
    pair_key_type: str
    pair_key_out: Path | None
    pair_out: Path | None

    @property
    def is_wanted(self) -> bool:
        """Whether a pair is asked for."""
        return bool(self.pair or self.pair_csr or self.pair_key_out)


pair_options = bundle(
    "pairing",
    PairOptions,
    click.option(
        "--pair",
        metavar="TEMPLATE",
        help="Issue a second certificate by this template, bound to the first (RFC 9763)."
        "  By default the one that the first template names: related.pair.",
    ),
    click.option(
        "--pair-csr",
        type=INPUT_FILE,
        metavar="FILE",
        help="With --csr: the request for the second certificate.",
    ),
    click.option(
        "--pair-key-type",
        type=click.Choice(KEY_TYPES),
        default=_KEY_TYPE,
        show_default=True,
        metavar="TYPE",
        help="Without --pair-csr: the type of its key.",
    ),
    click.option(
        "--pair-key-out", type=FILE, metavar="FILE", help="Write its key there, as --key-out does."
    ),
    click.option("--pair-out", type=FILE, metavar="FILE", help="Write it there, as --out does."),
)


def check_pairing(pairing: PairOptions, *, with_csr: bool) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: some do not.
    """
    if not pairing.is_wanted:
        return
    if with_csr != bool(pairing.pair_csr) or with_csr == bool(pairing.pair_key_out):
        raise click.UsageError("a pair needs --pair-key-out, or with --csr only --pair-csr")
