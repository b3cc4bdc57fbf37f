"""Durations as people write them: a number and one of the units s m h d w y."""

import re
from datetime import timedelta

from pikaserver.api.errors import RequestRejected

_SECONDS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_FORM = re.compile(r"([0-9]{1,10})([smhdwy])", re.ASCII)

LONGEST = timedelta(days=100 * 365)
"""No template asks for more; it also keeps every date within four digits of a year."""


def read_duration(text: str) -> timedelta:
    """Return what ``90d`` means; ``y`` is 365 days, ``m`` is minutes.

    Raises:
        RequestRejected: it is not a number with one unit, or longer than a hundred years.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise RequestRejected(
            f"{text!a} is not a duration; write a number and a unit, like '90d' "
            "(s, m for minutes, h, d, w, y)"
        )
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > LONGEST.total_seconds():
        raise RequestRejected(f"{text} is longer than 100y")
    return timedelta(seconds=seconds)


def write_duration(duration: timedelta) -> str:
    """Return the shortest text that `read_duration` reads as this duration of whole seconds."""
    seconds = int(duration.total_seconds())
    for unit, size in _SECONDS.items():
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return "0s"
