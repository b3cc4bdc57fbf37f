"""The other end of a connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection; ``refuse`` when there was no room for it.

    ``site`` is what connections are counted by, empty for proxies.
    """

    address: str
    site: str
    is_proxy: bool
    refuse: bool
