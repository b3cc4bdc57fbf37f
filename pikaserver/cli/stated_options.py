"""Options by which a request for a key that cannot sign is stated by another certificate."""

from dataclasses import dataclass
from pathlib import Path

import click

from pikaserver.cli.options import INPUT_FILE, bundle


@dataclass(frozen=True, slots=True)
class StatedBy:
    """Whose certificate and key make the statement, and for which public key."""

    stated_by: Path | None
    stated_by_key: Path | None
    public_key: Path | None

    @property
    def is_asked(self) -> bool:
        """Whether there is to be a statement at all."""
        return any((self.stated_by, self.stated_by_key, self.public_key))


stated_options = bundle(
    "stated",
    StatedBy,
    click.option(
        "--stated-by",
        type=INPUT_FILE,
        metavar="FILE",
        help="For keys that cannot sign (ML-KEM): the certificate whose key states possession.",
    ),
    click.option(
        "--stated-by-key",
        type=INPUT_FILE,
        metavar="FILE",
        help="Its private key.",
    ),
    click.option(
        "--public-key",
        type=INPUT_FILE,
        metavar="FILE",
        help="With --stated-by: the public key, where its private key was made elsewhere.",
    ),
)
