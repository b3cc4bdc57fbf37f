"""Times as they are stored, and as they go over the line (RFC 3339)."""

from datetime import UTC, datetime, timedelta

from pikaserver_acme.jose.json_text import malformed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def stored(at: datetime) -> int:
    """Return milliseconds since 1970."""
    return (at - _EPOCH) // _MILLISECOND


def moment(milliseconds: int) -> datetime:
    """Return the time that was stored."""
    return _EPOCH + milliseconds * _MILLISECOND


def written(milliseconds: int) -> str:
    """Return a stored time in whole seconds, as RFC 3339 writes it."""
    return moment(milliseconds).isoformat(timespec="seconds").replace("+00:00", "Z")


def read(text: str, what: str) -> datetime:
    """Return a time that a client wrote.

    Raises:
        AcmeError: malformed: it is not RFC 3339, or has no zone.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else _no_zone(what)
    except (ValueError, OverflowError):
        raise malformed(f"{what} is to be a time like 2030-01-31T12:00:00Z") from None


def _no_zone(what: str) -> datetime:
    raise malformed(f"{what} is to have a zone, like 2030-01-31T12:00:00Z")
