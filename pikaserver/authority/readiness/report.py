"""The readiness report: assets of a kind together, the exposed ones first."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pikaserver.authority.readiness.assets import Asset, Exposure

HORIZON = datetime(2035, 1, 1, tzinfo=UTC)
"""By when NIST IR 8547 wants classical signatures to be gone."""


@dataclass(frozen=True, slots=True)
class Line:
    """Assets that are alike; ``beyond`` of them are to be in use after the horizon."""

    kind: str
    name: str
    key_type: str
    signed_with: str | None
    exposure: Exposure
    count: int
    beyond: int
    last: datetime | None
    renewal: str


def report(assets: Iterable[Asset], horizon: datetime = HORIZON) -> list[Line]:
    """Return one line for all that are alike; what outlives the horizon counts most."""
    lines: dict[tuple[object, ...], Line] = {}
    for asset in assets:
        alike = _line(asset, horizon)
        key = alike.kind, alike.name, alike.key_type, alike.signed_with, alike.exposure
        other = lines.get((*key, alike.renewal))
        lines[*key, alike.renewal] = alike if other is None else _together(alike, other)
    return sorted(lines.values(), key=_urgency)


def exposed(lines: Iterable[Line]) -> int:
    """Return how many keys or paths a quantum computer would break."""
    return sum(line.count for line in lines if line.exposure is not Exposure.NONE)


def _line(asset: Asset, horizon: datetime) -> Line:
    # A key without an end is in use until somebody replaces it.
    beyond = asset.not_after is None or asset.not_after > horizon
    return Line(
        asset.kind,
        asset.name,
        asset.key_type,
        asset.signed_with,
        asset.exposure,
        1,
        int(beyond and asset.exposure is not Exposure.NONE),
        asset.not_after,
        asset.renewal if asset.exposure is not Exposure.NONE else "nothing to do",
    )


def _together(one: Line, other: Line) -> Line:
    ends = [line.last for line in (one, other) if line.last is not None]
    return Line(
        one.kind,
        one.name,
        one.key_type,
        one.signed_with,
        one.exposure,
        one.count + other.count,
        one.beyond + other.beyond,
        max(ends, default=None),
        one.renewal,
    )


_ORDER = {"authority": 0, "service": 1}


def _urgency(line: Line) -> tuple[object, ...]:
    return (
        line.exposure is Exposure.NONE,
        _ORDER.get(line.kind, 2),
        -line.beyond,
        -line.count,
        line.kind,
        line.name,
        line.key_type,
    )
