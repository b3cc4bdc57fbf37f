"""Milliseconds since 1970, in which the line counts, and times as people read them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pikaserver.api.operations import Clock

NowMs = Callable[[], int]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def milliseconds(clock: Clock) -> NowMs:
    """Return the clock of the server, in milliseconds."""

    def now() -> int:
        return since_epoch(clock())

    return now


def since_epoch(moment: datetime) -> int:
    """Return the milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(at: int) -> datetime | None:
    """Return a time, ``None`` for one that never was."""
    return _EPOCH + at * _MILLISECOND if at else None


def told(at: int) -> str:
    """Return a time for a sentence."""
    when = moment(at)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC" if when else "ever"
