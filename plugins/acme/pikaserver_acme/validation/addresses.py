"""Which addresses validation may connect to: public ones, and what a policy adds.

Some are never reached, whatever a policy says: those at which clouds hand out credentials, those
that mean another address (IPv4 within IPv6, NAT64, tunnels), and this server's own ports.  Some are
reached where the identifier itself leads, and never where a redirect does.
"""

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

from pikaserver_acme.validation.attempt import Failed

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in text.split())


NEVER: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("hands out cloud metadata", _networks("169.254.169.254 169.254.170.2 169.254.169.253")),
    ("hands out cloud metadata", _networks("100.100.100.200 168.63.129.16 192.0.0.192")),
    ("hands out cloud metadata", _networks("fd00:ec2::/32 fd20:ce::254 fd00:42::42 fd00:c1::/32")),
    ("is link-local", _networks("169.254.0.0/16 fe80::/10 fec0::/10")),
    ("means no single host", _networks("0.0.0.0/8 224.0.0.0/4 240.0.0.0/4 ::/128 ff00::/8")),
    ("is an IPv4 address within IPv6", _networks("::ffff:0:0/96 ::ffff:0:0:0/96")),
    ("is an IPv4 address behind NAT64", _networks("64:ff9b::/96 64:ff9b:1::/48")),
    ("belongs to a tunnel", _networks("2002::/16 2001::/32 192.88.99.0/24")),
    ("is reserved for protocols", _networks("192.0.0.0/24 2001::/23 100::/64 5f00::/16")),
)
"""First match counts; no policy opens these."""
LOOPBACK = _networks("127.0.0.0/8 ::1/128")
COMPATIBLE = IPv6Network("::/96")
"""The old way to write IPv4 within IPv6; loopback lies in it and is another matter."""
SPECIAL: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("is loopback", LOOPBACK),
    ("is private", _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7")),
    ("is for documents and tests", _networks("192.0.2.0/24 198.51.100.0/24 203.0.113.0/24")),
    ("is for documents and tests", _networks("198.18.0.0/15 2001:db8::/32 3fff::/20")),
)
"""What a policy may open by naming a range."""


def within(address: Address, networks: Iterable[Network]) -> bool:
    """Tell whether an address lies in one of some networks of its own kind."""
    return any(one.version == address.version and address in one for one in networks)


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the ranges that a policy or a setting names.

    Raises:
        ValueError: one is no range; the text says which.
    """
    return tuple(ipaddress.ip_network(each) for each in texts)


def is_own(address: Address) -> bool:
    """Tell whether an address is one of this host: the system would use it to reach itself."""
    if within(address, LOOPBACK):
        return True  # all of it, though the system itself calls from one address only
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # A datagram socket is only told where to; nothing is sent.
            probe.connect((str(address), 9))
        except OSError:
            return False
        return ipaddress.ip_address(probe.getsockname()[0]) == address


class AddressGuard:
    """Lets pass what may be reached; ``own_ports`` are those on which this server listens."""

    def __init__(
        self,
        reachable: Sequence[Network] = (),
        refused: Sequence[Network] = (),
        own_ports: Callable[[], Collection[int]] = frozenset,
        directly: Sequence[Network] = (),
    ) -> None:
        self._reachable = reachable
        self._refused = refused
        self._own_ports = own_ports
        self._directly = directly

    def objection(self, address: Address, *, redirected: bool = False) -> str | None:
        """Say why an address may not be reached, or return ``None``."""
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return "is link-local"
        if within(address, (COMPATIBLE,)) and not within(address, LOOPBACK):
            return "is an IPv4 address within IPv6"
        for why, networks in NEVER:
            if within(address, networks):
                return why
        if within(address, self._refused):
            return "is refused by the settings"
        return self._closed(address, redirected=redirected)

    def check_port(self, address: Address, port: int) -> None:
        """Return when a port of an address may be connected to.

        Raises:
            Failed: this server itself listens there.
        """
        if port in self._own_ports() and is_own(address):
            raise Failed("connection", f"{address} port {port} is a port of this server: refused")

    def _closed(self, address: Address, *, redirected: bool) -> str | None:
        """Say why the policy keeps an address closed, or return ``None``."""
        if within(address, self._reachable):
            return None
        if within(address, self._directly):
            return "is not for redirects" if redirected else None
        for why, networks in SPECIAL:
            if within(address, networks):
                return f"{why}, and the policy does not open it"
        return None
