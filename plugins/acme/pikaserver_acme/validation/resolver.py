"""Look-ups in the DNS: by the servers of a vantage point, with an end, and with a line for each."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CAA import CAA
from dns.rdtypes.ANY.TXT import TXT

from pikaserver_acme.validation.addresses import Address
from pikaserver_acme.validation.attempt import Attempt, Failed

ALIASES = 8
"""So many aliases are followed beyond those that an answer itself follows."""
EACH_TRY_SECONDS = 2.0
MOST_RECORDS = 100
DNS_PORT = 53


class CaaRecord(NamedTuple):
    """A CAA property (RFC 8659 section 4.1)."""

    critical: bool
    tag: str
    value: str


class Resolver:
    """Asks the given servers, ``HOST:PORT``, or else those of the system."""

    def __init__(self, servers: Sequence[str] = (), source: str | None = None) -> None:
        self._servers = tuple(servers)
        self._source = source

    def addresses(self, name: str, attempt: Attempt) -> list[Address]:
        """Return the addresses of a name, IPv6 before IPv4, each kind as the server ordered it.

        Raises:
            Failed: a server could not tell, or there are none.
        """
        found: list[Address] = []
        trouble: Failed | None = None
        # Some servers say nothing to questions for AAAA: the other half is for A.
        for kind, share in (("AAAA", 0.5), ("A", 1.0)):
            try:
                records = self._records(name, kind, attempt, share)
                texts = [record.to_text() for record in records]
            except Failed as failure:
                trouble = failure
                continue
            found += [ipaddress.ip_address(text) for text in texts]
        if not found:
            why = f"{name} has no address: make an A or AAAA record for it"
            raise trouble or Failed("dns", why, again=True)
        attempt.note(f"resolved {name} to {', '.join(map(str, found))}")
        return found

    def texts(self, name: str, attempt: Attempt) -> list[bytes]:
        """Return the TXT records of a name, the strings of each joined.

        Raises:
            Failed: a server could not tell.
        """
        records = self._records(name, "TXT", attempt)
        found = [b"".join(record.strings) for record in records if isinstance(record, TXT)]
        attempt.note(f"TXT {name}: {len(found)} records")
        return found

    def caa(self, name: str, attempt: Attempt) -> list[CaaRecord]:
        """Return the CAA records of a name, or of what it is an alias of.

        Raises:
            Failed: a server could not tell.
        """
        found = [
            CaaRecord(bool(record.flags & 0x80), _text(record.tag).lower(), _text(record.value))
            for record in self._records(name, "CAA", attempt)
            if isinstance(record, CAA)
        ]
        attempt.note(f"CAA {name}: {len(found)} records")
        return found

    def _records(
        self, name: str, kind: str, attempt: Attempt, share: float = 1.0
    ) -> list[dns.rdata.Rdata]:
        """Return the records of a name, with aliases followed that its server does not follow."""
        try:
            wanted = dns.name.from_text(name, origin=dns.name.root)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise Failed("malformed", f"{name!r} is not a DNS name: {error}") from error
        for _ in range(ALIASES):
            answer = self._ask(wanted, kind, attempt.remaining() * share)
            if answer is None or answer.rrset is not None:
                return [] if answer is None else list(answer.rrset or ())[:MOST_RECORDS]
            if answer.canonical_name == wanted:
                return []
            wanted = answer.canonical_name
        raise Failed("dns", f"{name} is an alias of an alias, more than {ALIASES} times")

    def _ask(self, wanted: dns.name.Name, kind: str, seconds: float) -> dns.resolver.Answer | None:
        """Return the answer, ``None`` when there is no such name."""
        try:
            return self._stub().resolve(
                wanted,
                kind,
                source=self._source,
                raise_on_no_answer=False,
                lifetime=seconds,
                search=False,
            )
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.LifetimeTimeout as error:
            why = f"no DNS server answered in time for {kind} {wanted}"
            raise Failed("dns", why, again=True) from error
        except (dns.exception.DNSException, OSError, ValueError) as error:
            why = f"the DNS servers cannot tell {kind} {wanted}: {_reason(error)}"
            raise Failed("dns", why, again=True) from error

    def _stub(self) -> dns.resolver.Resolver:
        stub = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            stub.nameservers = [_nameserver(each) for each in self._servers]
        stub.timeout = EACH_TRY_SECONDS
        # The oldest and smallest servers understand it; a long answer comes by TCP.
        stub.use_edns(-1)
        return stub


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    host, port = server_address(text)
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        # An operator's own word, so the system may resolve it.
        address = str(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0])
    return dns.nameserver.Do53Nameserver(address, port)


def server_address(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``[::1]:PORT``, or a host alone.

    Raises:
        ValueError: it is none of them.
    """
    if text.count(":") > 1 and not text.startswith("["):
        return str(ipaddress.ip_address(text)), DNS_PORT
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = host or text, str(DNS_PORT)
    host = host.strip("[]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"should be 'HOST:PORT', not {text!r}")
    return host, int(port)


def is_loopback(server: str) -> bool:
    """Tell whether a DNS server, as ``HOST:PORT``, is one of this host by its address."""
    host, _port = server_address(server)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
