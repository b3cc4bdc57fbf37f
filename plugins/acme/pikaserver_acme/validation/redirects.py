"""Where an answer sends us, and whether we go there."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.hosts import read_name

STATUSES = frozenset({301, 302, 307, 308})
LONGEST_URL = 2000
USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, taken apart; ``host`` is a name or, for an IP identifier, that very address."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What goes into the Host field (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL whole."""
        return f"{self.scheme}://{self.authority}{self.target}"


def follow(place: Place, location: str | None, ports: dict[str, int], identifier: str) -> Place:
    """Return the place that a ``Location`` names.

    Args:
        place: where the answer came from.
        location: the field's value; ``None``: there is none.
        ports: the port that each scheme may be asked at.
        identifier: what is validated; an address is followed only where it is this one.

    Raises:
        Failed: it is no URL, or one that is not followed.
    """
    parts, port = _parts(place, location)
    if parts.scheme not in ports:
        why = f"a redirect to {parts.scheme!r}: only http and https are followed"
        raise Failed("connection", why)
    if port != ports[parts.scheme]:
        wanted = f"port {port}, {parts.scheme} is asked at port {ports[parts.scheme]} only"
        raise Failed("connection", f"a redirect to {parts.netloc}: {wanted}")
    host = parts.hostname or ""
    if host != identifier:
        host = read_name(host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port, target)


def _parts(place: Place, location: str | None) -> tuple[SplitResult, int | None]:
    if not location or len(location) > LONGEST_URL:
        raise Failed("connection", f"a redirect without a URL of at most {LONGEST_URL} characters")
    if not all("!" <= each <= "~" for each in location) or "\\" in location:
        raise Failed("connection", "a redirect to a URL with characters that no URL has")
    try:
        parts = urlsplit(urljoin(place.url, location))
        port = parts.port
    except ValueError as error:
        raise Failed("connection", f"a redirect to what is no URL: {error}") from error
    if "@" in parts.netloc:
        raise Failed("connection", "a redirect with a name and a password in its URL")
    return parts, USUAL_PORTS.get(parts.scheme) if port is None else port
