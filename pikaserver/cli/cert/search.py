"""Options by which certificates are found."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from pikaserver.api.certificates import CertificateStatus
from pikaserver.cli.options import DURATION, MOMENT, SERIAL, bundle

_LONGEST_PAGE = 1000

authority_option = click.option(
    "--authority", metavar="NAME", help="Of this authority only; two may have used the same serial."
)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What to look for."""

    authority: str | None
    serial: int | None
    subject: str | None
    name: str | None
    fingerprint: str | None
    template: str | None
    status: str | None
    expires_within: timedelta | None
    expires_before: datetime | None
    expires_after: datetime | None
    after: int | None
    limit: int


search_options = bundle(
    "search",
    SearchOptions,
    click.option("--authority", metavar="NAME", help="Issued by this authority."),
    click.option("--serial", type=SERIAL, help="With this serial, in hex."),
    click.option("--subject", metavar="TEXT", help="With this text in the subject, in any case."),
    click.option("--name", help="For this whole name: www.example.com, or ip:192.0.2.1."),
    click.option("--fingerprint", metavar="HEX", help="With this SHA-256 fingerprint."),
    click.option("--template", metavar="NAME", help="Issued by this template."),
    click.option(
        "--status",
        type=click.Choice([str(one) for one in CertificateStatus]),
        help="In this state.",
    ),
    click.option("--expires-within", type=DURATION, help="That end from now until then: 30d."),
    click.option("--expires-before", type=MOMENT, help="That end before this day or moment."),
    click.option("--expires-after", type=MOMENT, help="That end on this day or moment or later."),
    click.option("--after", type=int, metavar="ID", help="The next page: after this id."),
    click.option(
        "--limit",
        type=click.IntRange(1, _LONGEST_PAGE),
        metavar="N",
        default=100,
        show_default=True,
        help="How many on a page.",
    ),
)
