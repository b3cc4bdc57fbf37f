"""Subtrees of names (RFC 5280 section 4.2.1.10): their text form, and what lies inside."""

import unicodedata
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.decisions import quoted
from pikaserver.authority.naming import forms as name_forms


def read_subtree(text: str) -> x509.GeneralName:
    """Return the base of a subtree from ``dns:example.com``, ``ip:10.0.0.0/8`` and the like.

    ``email:`` takes a mailbox, a host or ``.domain``, ``uri:`` a host or ``.domain``,
    ``dirname:`` an RFC 4514 name.

    Raises:
        RequestRejected: unknown kind, or not a base of that kind.
    """
    kind, _, base = text.partition(":")
    reader = _READERS.get(kind)
    if reader is None:
        kinds = ", ".join(_READERS)
        raise RequestRejected(f"{quoted(text)} is not a subtree; write kind:base, kind of {kinds}")
    try:
        return reader(base)
    except ValueError:
        raise RequestRejected(f"{quoted(text)} is not a subtree of kind {kind}") from None


def _host_or_domain(base: str) -> str:
    dot = "." if base.startswith(".") else ""
    return dot + name_forms.dns_name(base.removeprefix("."), single_labels=True)


_READERS: dict[str, Callable[[str], x509.GeneralName]] = {
    "dns": lambda base: x509.DNSName(name_forms.dns_name(base, single_labels=True)),
    "ip": lambda base: x509.IPAddress(ip_network(base)),
    "email": lambda base: x509.RFC822Name(
        name_forms.email_name(base) if "@" in base else _host_or_domain(base)
    ),
    "uri": lambda base: x509.UniformResourceIdentifier(_host_or_domain(base)),
    "dirname": lambda base: x509.DirectoryName(x509.Name.from_rfc4514_string(base)),
}


def same_form(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Say whether a subtree speaks of this form of name; of the others it says nothing."""
    if isinstance(name, x509.OtherName) and isinstance(base, x509.OtherName):
        return name.type_id == base.type_id
    return type(name) is type(base)


def within(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Say whether all that a name stands for is in a subtree; in doubt it is not."""
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _dns_within(name.value.lower(), base.value.lower())
    if isinstance(name, x509.IPAddress) and isinstance(base, x509.IPAddress):
        return _ip_within(name.value, base.value)
    if isinstance(name, x509.RFC822Name) and isinstance(base, x509.RFC822Name):
        return _email_within(name.value.casefold(), base.value.casefold())
    if isinstance(name, x509.UniformResourceIdentifier):
        host = _uri_host(name)
        return host is not None and _host_within(host, str(base.value).lower())
    if isinstance(name, x509.DirectoryName) and isinstance(base, x509.DirectoryName):
        return _directory_within(name.value, base.value)
    return False


def touches(name: x509.GeneralName, base: x509.GeneralName) -> bool:
    """Say whether anything that a name stands for is in a subtree; in doubt it is."""
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _dns_touches(name.value.lower(), base.value.lower().lstrip("."))
    if isinstance(name, x509.UniformResourceIdentifier) and _uri_host(name) is None:
        return True  # without a host that can be judged RFC 5280 asks for a refusal
    if isinstance(name, x509.OtherName | x509.RegisteredID):
        return True
    return within(name, base)


def _dns_within(name: str, base: str) -> bool:
    if base.startswith("."):
        return name.endswith(base)
    return base in ("", name) or name.endswith("." + base)


def _dns_touches(name: str, base: str) -> bool:
    if _dns_within(name, base):
        return True
    # A wildcard stands for one label: *.example.com reaches the excluded www.example.com.
    return name.startswith("*.") and name[2:] == base.partition(".")[2]


def _ip_within(name: object, base: object) -> bool:
    if not isinstance(name, IPv4Address | IPv6Address):
        return False
    return name in ip_network(str(base))


def _email_within(name: str, base: str) -> bool:
    if "@" in base:
        return name == base
    return base == "" or _host_within(name.rpartition("@")[2], base)


def _host_within(host: str, base: str) -> bool:
    return host.endswith(base) if base.startswith(".") else host == base


def _uri_host(name: x509.UniformResourceIdentifier) -> str | None:
    """Return the DNS name in a URI's authority; ``None`` for none, or for an IP address."""
    try:
        return name_forms.dns_name(name_forms.uri_name(name.value).host or "", single_labels=True)
    except RequestRejected:
        return None


def _directory_within(name: x509.Name, base: x509.Name) -> bool:
    head = name.rdns[: len(base.rdns)]
    return [_normal(rdn) for rdn in head] == [_normal(rdn) for rdn in base.rdns]


def _normal(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, object]]:
    """Reduce to what RFC 5280 section 7.1 compares: no case, no superfluous spaces."""
    return frozenset((attribute.oid.dotted_string, _folded(attribute.value)) for attribute in rdn)


def _folded(value: str | bytes) -> object:
    if isinstance(value, bytes):
        return value
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())
