"""What a certificate is asked for: identifiers, their spelling, and patterns over them.

RFC 8555 section 9.7.7 knows ``dns``, RFC 8738 ``ip``, the device attestation draft
``permanent-identifier`` and ``hardware-module``.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import idna

from pikaserver.api.errors import RequestRejected

DNS, IP = "dns", "ip"
PERMANENT, HARDWARE = "permanent-identifier", "hardware-module"
TYPES = (DNS, IP, PERMANENT, HARDWARE)
DEVICE_TYPES = frozenset({PERMANENT, HARDWARE})

LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DEVICE = re.compile(r"[!-~]([ -~]{0,198}[!-~])?", re.ASCII)
# What resolvers take for an address: "127.1", "0x7f.1", "2130706433".
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.ASCII)
_WILDCARD = "*."


class NotAnIdentifier(RequestRejected):
    """It is not spelled as its type asks; the text says how it should be."""


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One identifier in its usual spelling; ``value`` of a wildcard begins with ``*.``."""

    type: str
    value: str

    @property
    def wildcard(self) -> bool:
        """Whether it is a wildcard name."""
        return self.type == DNS and self.value.startswith(_WILDCARD)

    @property
    def base(self) -> str:
        """The name that has to be controlled: without the asterisk."""
        return self.value.removeprefix(_WILDCARD) if self.wildcard else self.value

    def document(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"type": self.type, "value": self.value}


def identifier(kind: str, value: str) -> Identifier:
    """Return an identifier in its usual spelling.

    Raises:
        NotAnIdentifier: it cannot be spelled so.
    """
    if kind == DNS:
        return Identifier(kind, _issuable(_dns_name(value)))
    if kind == IP:
        return Identifier(kind, _address(value))
    if kind in DEVICE_TYPES:
        if not _DEVICE.fullmatch(value):
            raise NotAnIdentifier("a device is named by 1 to 200 printable ASCII characters")
        return Identifier(kind, value)
    raise NotAnIdentifier(f"the type {kind[:40]!a} is unknown; known are {', '.join(TYPES)}")


def is_below(name: str, ancestor: str) -> bool:
    """Tell whether a name stands below another one, at any depth."""
    return name.endswith(f".{ancestor}")


def allows(patterns: Iterable[str], asked: Identifier) -> bool:
    """Tell whether one of the patterns covers an identifier.

    ``*`` covers everything, ``*.example.com`` all names below, ``example.com`` that name,
    ``10.0.0.0/8`` a network, anything else the device of that name.  A wildcard name is
    covered where all the names that it stands for are.
    """
    return any(_covers(pattern, asked) for pattern in patterns)


def check_pattern(pattern: str) -> str:
    """Return a pattern in its usual spelling.

    Raises:
        NotAnIdentifier: it can cover nothing.
    """
    if pattern == "*":
        return pattern
    if "/" in pattern or ":" in pattern or _is_address(pattern):
        try:
            return str(ipaddress.ip_network(pattern))
        except ValueError as error:
            raise NotAnIdentifier(f"{pattern!a} is no network: {error}") from None
    try:
        return _dns_name(pattern)
    except NotAnIdentifier:
        if "*" in pattern or not _DEVICE.fullmatch(pattern):
            raise
        return pattern


def _covers(pattern: str, asked: Identifier) -> bool:
    if pattern == "*":
        return True
    if asked.type == IP:
        return _in_network(pattern, asked.value)
    if asked.type != DNS:
        return pattern == asked.value
    if pattern.startswith(_WILDCARD):
        return is_below(asked.base, pattern[2:]) or asked.value == pattern
    return pattern == asked.value


def _in_network(pattern: str, address: str) -> bool:
    try:
        network = ipaddress.ip_network(pattern)
    except ValueError:
        return False
    found = ipaddress.ip_address(address)
    return found.version == network.version and found in network


def _dns_name(text: str) -> str:
    if not text.isascii():
        raise NotAnIdentifier(f"{text[:60]!a} is not ASCII: write international names as xn--...")
    name = text.lower()
    base = name.removeprefix(_WILDCARD)
    if _is_address(base) or _NUMBER.fullmatch(base.rpartition(".")[2]):
        raise NotAnIdentifier(f"{text[:60]!a} is no name: ask for an address by the type ip")
    if len(base) > LONGEST_NAME or not all(_LABEL.fullmatch(one) for one in base.split(".")):
        raise NotAnIdentifier(
            f"{text[:60]!a} is no host name: labels of letters, digits and hyphens, with dots"
            " between, and an asterisk as the whole first label only"
        )
    return name


def _issuable(name: str) -> str:
    """Return a name that no template would refuse: better to say it before anything is proved."""
    if name.startswith(_WILDCARD) and name.count(".") == 1:
        raise NotAnIdentifier(f"{name!a} covers a whole top-level domain")
    for label in name.split("."):
        if label[2:4] == "--" and not _is_a_label(label):
            raise NotAnIdentifier(f"{label!a} in {name!a} is not valid IDNA 2008")
    return name


def _is_a_label(label: str) -> bool:
    try:
        return label.startswith("xn--") and idna.alabel(idna.ulabel(label)).decode() == label
    except UnicodeError:  # idna.IDNAError is one
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _address(text: str) -> str:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise NotAnIdentifier(f"{text[:60]!a} is no IP address (RFC 8738 section 3)") from None
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        raise NotAnIdentifier("an address with a zone means something on one host only")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        raise NotAnIdentifier(f"{found} is an IPv4 address: ask for {found.ipv4_mapped}")
    if found.is_unspecified or found.is_multicast or (found.is_reserved and not found.is_loopback):
        raise NotAnIdentifier(f"{found} is not the address of a host")
    return str(found)


def read_identifiers(documents: Iterable[Mapping[str, str]]) -> tuple[Identifier, ...]:
    """Return identifiers as they are stored."""
    return tuple(Identifier(one["type"], one["value"]) for one in documents)
