"""Lists of addresses: from where something may be asked."""

import ipaddress
from collections.abc import Sequence

from pikaserver.api.errors import NotAllowed

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SITE_BITS = 64


class AddressList:
    """Networks; none means all."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: list[_Network] = [ipaddress.ip_network(text) for text in networks]

    def check(self, address: str | None) -> None:
        """Return when this address is on the list.

        Raises:
            NotAllowed: it is not, or nobody knows it.
        """
        if not self._networks:
            return
        found = None if address is None else _read(address)
        if found is None or not any(found in network for network in self._networks):
            raise NotAllowed("requests from this address are not taken here")


def guesser(address: str | None) -> str:
    """Return what counts as one guesser: the address, of IPv6 the first 64 bits."""
    found = None if address is None else _read(address)
    if found is None:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), SITE_BITS), strict=False))
    return str(found)


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return found if mapped is None else mapped
