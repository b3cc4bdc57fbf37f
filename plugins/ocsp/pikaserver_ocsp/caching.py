"""What caches are told of an answer (RFC 5019 section 6.2, RFC 9919, RFC 9111)."""

from datetime import datetime, timedelta
from email.utils import format_datetime

from pikaserver_ocsp.kept import KeptAnswer

SETTLED = timedelta(seconds=2)
"""Times have whole seconds here: an answer younger than this may get a twin of the same second,
so it has no Last-Modified, by which the two could not be told apart."""


def headers(kept: KeptAnswer, now: datetime, max_age: int) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer to GET."""
    left = int((kept.next_update - now).total_seconds())
    age = max(0, min(max_age, left))
    found = [
        ("cache-control", f"max-age={age}, public, no-transform, must-revalidate"),
        ("etag", f'"{kept.tag}"'),
        ("expires", format_datetime(kept.next_update, usegmt=True)),
    ]
    if _is_settled(kept, now):
        found.append(("last-modified", format_datetime(kept.this_update, usegmt=True)))
    return tuple(found)


def is_known(
    kept: KeptAnswer, now: datetime, tags: list[str] | None, since: datetime | None
) -> bool:
    """Tell whether the client has this answer (RFC 9110 section 13.2.2).

    Args:
        kept: the answer.
        now: the present.
        tags: of If-None-Match, without quotes; the date does not count beside them.
        since: If-Modified-Since.
    """
    if tags is not None:
        return not {"*", kept.tag}.isdisjoint(tags)
    return since is not None and _is_settled(kept, now) and kept.this_update <= since


def _is_settled(kept: KeptAnswer, now: datetime) -> bool:
    return now >= kept.this_update + SETTLED
