"""Options by which devices are found."""

from dataclasses import dataclass
from datetime import timedelta

import click

from pikaserver.api.devices import DeviceState
from pikaserver.cli.options import DURATION, bundle

_LONGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What to look for."""

    state: str | None
    door: str | None
    silent_for: timedelta | None
    after: int | None
    limit: int


device_options = bundle(
    "search",
    DeviceOptions,
    click.option(
        "--state", type=click.Choice([str(one) for one in DeviceState]), help="In this state."
    ),
    click.option("--door", metavar="NAME", help="That came by this door: est, scep, cli ..."),
    click.option("--silent-for", type=DURATION, help="That were not here for so long: 30d."),
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
