"""What a named proxy says of the caller: believed from that proxy, stripped from anybody else.

Two headers tell the address (RFC 7239 and the older ``X-Forwarded-For``), one the certificate:
``Client-Cert`` (RFC 9440) or, under any other name, the percent-encoded PEM that nginx has as
``$ssl_client_escaped_cert``.  The proxy must verify the client's certificate and overwrite the
header in every request; we cannot tell whether it does.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.web import ClientConnection, TlsSession
from pikaserver.web.strict import RequestRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORWARDED = "forwarded"
"""The TLS version and cipher of a caller behind a proxy, which we cannot know."""

RFC9440_HEADER = "CLIENT_CERT"
OF_PROXIES = (
    "CLIENT_CERT",
    "CLIENT_CERT_CHAIN",
    "FORWARDED",
    "X_FORWARDED_BY",
    "X_FORWARDED_FOR",
    "X_FORWARDED_HOST",
    "X_FORWARDED_PORT",
    "X_FORWARDED_PREFIX",
    "X_FORWARDED_PROTO",
    "X_REAL_IP",
)
"""Headers that no application of ours ever sees."""

BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
PAIR = re.compile(
    r"[ \t]*([A-Za-z]+)=(?:\"([^\"\\]*)\"|([^\s\",;]*))[ \t]*([;,]|\Z)",
)
NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+)(?::[0-9]+)?|([0-9A-Fa-f:.]+)")


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """Whom a listener believes; ``certificate_header`` is the header's name, if there is one."""

    networks: tuple[Network, ...] = ()
    certificate_header: str | None = None

    @property
    def certificate_key(self) -> str | None:
        """The header's name as in a WSGI environ, without ``HTTP_``."""
        if self.certificate_header is None:
            return None
        return self.certificate_header.upper().replace("-", "_")

    def name(self, address: str) -> bool:
        """Tell whether this is the address of a proxy that the listener names."""
        return _is_in(read_address(address), self.networks) if self.networks else False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and by which scheme they reached us or the proxy."""

    connection: ClientConnection
    scheme: str


def caller(
    peer: ClientConnection, headers: dict[str, str], rules: ProxyRules, *, is_proxy: bool
) -> Caller:
    """Return who sent the request, and take the headers of proxies out of it.

    Raises:
        RequestRefused: the proxy's headers are doubled, disagree or cannot be read.
    """
    key = rules.certificate_key
    said = {name: headers.pop(name, "") for name in OF_PROXIES}
    if key is not None and key not in said:
        said[key] = headers.pop(key, "")
    if not is_proxy:
        return Caller(peer, "http" if peer.tls is None else "https")
    address, scheme = _hop(said, rules.networks)
    certificate = _certificate(said[key], key) if key else None
    # The proxy's own TLS session with us says nothing about the client.
    session = TlsSession(FORWARDED, FORWARDED, certificate) if scheme == "https" else None
    return Caller(ClientConnection(peer.listener, address or peer.address, session), scheme)


def read_address(text: str) -> Address:
    """Return an address; one of IPv4 in IPv6's clothes becomes IPv4 again.

    Raises:
        ValueError: it is none.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _bad(why: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, why)


def _hop(said: dict[str, str], networks: Sequence[Network]) -> tuple[str | None, str]:
    """Return the client's address, if the proxy tells it, and the client's scheme.

    A proxy that fills one of the two headers may pass on what the client wrote into the other
    one: where both are there, they must agree.
    """
    old = [(_node(text), "") for text in _listed(said["X_FORWARDED_FOR"])]
    new = _elements(said["FORWARDED"])
    first, second = (_client(hops, networks) for hops in (old, new))
    if first and second and first[0] != second[0]:
        raise _bad("Forwarded and X-Forwarded-For do not agree")
    hop = first or second
    schemes = {said["X_FORWARDED_PROTO"].lower(), second[1] if second else ""} - {""}
    # A proxy that does not tell is one that ends TLS: that is what it was named for.
    scheme = schemes.pop() if schemes else "https"
    if schemes or scheme not in {"http", "https"}:
        raise _bad("the proxy's scheme is not http or https")
    return (str(hop[0]) if hop else None), scheme


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _client(
    hops: Sequence[tuple[Address, str]], networks: Sequence[Network]
) -> tuple[Address, str] | None:
    """Return the nearest hop that is not one of our own proxies."""
    for hop in reversed(hops):
        if not _is_in(hop[0], networks):
            return hop
    return hops[0] if hops else None


def _node(text: str) -> Address:
    match = NODE.fullmatch(text)
    if match is None:
        raise _bad("a proxy's header without the client's address")
    try:
        return read_address(next(part for part in match.groups() if part))
    except ValueError as error:
        raise _bad("a proxy's header without the client's address") from error


def _elements(text: str) -> list[tuple[Address, str]]:
    """Read ``Forwarded`` (RFC 7239 section 4): an address and a scheme per element."""
    elements: list[tuple[Address, str]] = []
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = PAIR.match(text, at)
        if match is None or match[1].lower() in pairs:
            raise _bad("Forwarded cannot be read")
        pairs[match[1].lower()] = match[2] if match[2] is not None else match[3]
        at = match.end()
        if match[4] != ";":
            elements.append((_node(pairs.get("for", "")), pairs.get("proto", "").lower()))
            pairs = {}
    if pairs:
        raise _bad("Forwarded cannot be read")
    return elements


def _certificate(text: str, key: str) -> bytes | None:
    """Return the client's certificate, DER; an empty header is none."""
    if not text:
        return None
    try:
        if key == RFC9440_HEADER:
            match = BYTE_SEQUENCE.fullmatch(text)
            der = base64.b64decode(match[1], validate=True) if match else b""
            x509.load_der_x509_certificate(der)
            return der
        [certificate] = x509.load_pem_x509_certificates(unquote(text).encode())
    except (ValueError, binascii.Error, x509.InvalidVersion, Warning) as error:
        raise _bad("the proxy's header holds no single certificate") from error
    return certificate.public_bytes(Encoding.DER)
