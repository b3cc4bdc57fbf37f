"""How many different structures each key was allowed lately, in bounded memory."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping

KEPT = 25 * 3600 * 1000
"""Milliseconds; rates are told for a day at most."""
MOST_TOLD_APART = 50_000
"""Of so many structures the same one is counted once; of older ones each use counts."""

_SECOND = 1000
_MINUTE = 60 * _SECOND
_FINE = 2 * _MINUTE
"""For so long single seconds are counted; before that, whole minutes."""

_Buckets = dict[int, int]


class RecentUses:
    """Counters; not for use by several threads at once."""

    def __init__(self) -> None:
        self._newest = 0
        self._last: OrderedDict[tuple[bytes, bytes], tuple[str, int]] = OrderedDict()
        self._seconds: dict[bytes, dict[str, _Buckets]] = defaultdict(dict)
        self._minutes: dict[bytes, dict[str, _Buckets]] = defaultdict(dict)

    def add(self, key: bytes, kind: str, tbs_hash: bytes, ts: int) -> None:
        """Count a structure, as of this time if it was counted before."""
        before = self._last.pop((key, tbs_hash), None)
        if before is not None:
            self._count(key, *before, -1)
            ts = max(ts, before[1])
        self._last[key, tbs_hash] = (kind, ts)
        self._count(key, kind, ts, 1)
        if len(self._last) > MOST_TOLD_APART:
            self._last.popitem(last=False)

    def add_untold(self, key: bytes, kind: str, ts: int, count: int) -> None:
        """Count so many structures that nobody will tell apart again."""
        self._count(key, kind, ts, count)

    def since(self, key: bytes, since: int, but: Iterable[bytes] = ()) -> Mapping[str, int]:
        """Count by kind, leaving out some structures; of a begun second or minute all counts."""
        if since >= self._newest - _FINE:
            kinds, first = self._seconds.get(key, {}), since // _SECOND
        else:
            kinds, first = self._minutes.get(key, {}), since // _MINUTE
        counts = Counter(
            {
                kind: sum(count for place, count in buckets.items() if place >= first)
                for kind, buckets in kinds.items()
            }
        )
        for tbs_hash in but:
            kind, ts = self._last.get((key, tbs_hash), ("", -1))
            if ts >= since:
                counts[kind] -= 1
        return +counts

    def counted(self, key: bytes, tbs_hash: bytes, since: int) -> bool:
        """Tell whether this structure is among those that `since` counts."""
        return self._last.get((key, tbs_hash), ("", -1))[1] >= since

    def size(self) -> int:
        """Return how many structures and numbers are held."""
        tables = (self._seconds, self._minutes)
        kinds = [kinds for table in tables for kinds in table.values()]
        return len(self._last) + sum(len(buckets) for one in kinds for buckets in one.values())

    def _count(self, key: bytes, kind: str, ts: int, change: int) -> None:
        self._newest = max(self._newest, ts)
        for table, width, kept in (
            (self._seconds, _SECOND, _FINE),
            (self._minutes, _MINUTE, KEPT),
        ):
            buckets = table[key].setdefault(kind, {})
            place = ts // width
            buckets[place] = buckets.get(place, 0) + change
            if buckets[place] <= 0:
                del buckets[place]
            if len(buckets) > 2 * kept // width:
                first = (ts - kept) // width
                table[key][kind] = {p: n for p, n in buckets.items() if p >= first}
