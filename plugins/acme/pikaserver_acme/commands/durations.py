"""Periods as an operator writes them."""

import re
from datetime import timedelta

import click

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)


class Duration(click.ParamType[timedelta, object]):
    """``30m``, ``12h``, ``90d``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a number with its unit."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no period; write one like 30m, 12h or 90d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]
