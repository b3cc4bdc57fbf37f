"""Allow and deny rules for names, one small language per kind; deny wins.

======  =======================================================================
kind    patterns
======  =======================================================================
all     ``*``: every name of that kind
dns     ``www.example.com``: this name; ``*.example.com``: every name below it, at any depth,
        and not ``example.com`` itself
ip      ``10.0.0.7`` or ``10.0.0.0/8``: the addresses of the network
email   ``ann@example.com``; ``*@example.com``; ``*@*.example.com``: the domain as in dns
upn     as email
uri     ``urn:uuid:*`` or ``spiffe:*``: what begins so; ``https://*.example.com``: host as in
        dns, any port and path; ``https://example.com/a``: this path and query;
        ``https://example.com/a/*``: what is below it
======  =======================================================================
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import NameRules
from pikaserver.authority.decisions import quoted
from pikaserver.authority.naming import forms as name_forms

KINDS = ("dns", "ip", "email", "uri", "upn")
"""The kinds of names that templates can allow."""


class Pattern(Protocol):
    """One pattern of a rule; names come in canonical form."""

    def covers(self, name: str) -> bool:
        """Say whether all that the name stands for is meant: asked of ``allow``."""
        ...

    def touches(self, name: str) -> bool:
        """Say whether anything that the name stands for is meant: asked of ``deny``."""
        ...


@dataclass(frozen=True, slots=True)
class _Every:
    def covers(self, name: str) -> bool:
        return True

    def touches(self, name: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _DnsPattern:
    """``below``: the names under ``base``, else ``base`` alone."""

    base: str
    below: bool

    def covers(self, name: str) -> bool:
        # The dot makes it a comparison of labels: evilexample.com is not below example.com.
        return name.endswith(f".{self.base}") if self.below else name == self.base

    def touches(self, name: str) -> bool:
        if self.covers(name):
            return True
        # A wildcard stands for one label: *.example.com meets a denied www.example.com.
        parent = self.base.partition(".")[2]
        return not self.below and name.startswith("*.") and name[2:] == parent


@dataclass(frozen=True, slots=True)
class _IpPattern:
    network: IPv4Network | IPv6Network

    def covers(self, name: str) -> bool:
        return ip_address(name) in self.network

    def touches(self, name: str) -> bool:
        return self.covers(name)


@dataclass(frozen=True, slots=True)
class _MailboxPattern:
    """E-mail addresses and user principal names; local parts compare without case."""

    local: str
    domain: Pattern

    def covers(self, name: str) -> bool:
        local, _, domain = name.rpartition("@")
        return self.local in ("*", local.casefold()) and self.domain.covers(domain)

    def touches(self, name: str) -> bool:
        return self.covers(name)


@dataclass(frozen=True, slots=True)
class _UriPattern:
    """``rest`` is path and query, or all after the scheme where the pattern names no host."""

    scheme: str
    host: Pattern | None
    rest: str
    prefix: bool

    def covers(self, name: str) -> bool:
        uri = name_forms.uri_name(name)
        if uri.scheme != self.scheme:
            return False
        rest = uri.rest
        if self.host is None:
            rest = name[len(uri.scheme) + 1 :]
        elif uri.host is None or not self.host.covers(uri.host):
            return False
        return rest.startswith(self.rest) if self.prefix else rest == self.rest

    def touches(self, name: str) -> bool:
        return self.covers(name)


def read_pattern(kind: str, text: str) -> Pattern:
    """Return a pattern of the language in this module's docstring.

    Raises:
        RequestRejected: it is not one.
    """
    if text == "*":
        return _Every()
    if kind == "dns":
        return _dns_pattern(text)
    if kind == "ip":
        return _ip_pattern(text)
    if kind in ("email", "upn"):
        local, _, domain = text.rpartition("@")
        if not local:
            raise RequestRejected(f"{quoted(text)} is no pattern; write user@domain or *@domain")
        return _MailboxPattern(local.casefold(), _dns_pattern(domain))
    return _uri_pattern(text)


def _dns_pattern(text: str) -> _DnsPattern:
    below = text.startswith("*.")
    base = text[2:] if below else text
    return _DnsPattern(name_forms.dns_name(base, single_labels=True), below)


def _ip_pattern(text: str) -> _IpPattern:
    try:
        return _IpPattern(ip_network(text))
    except ValueError as problem:
        raise RequestRejected(f"{quoted(text)} is not an IP network: {problem}") from None


def _uri_pattern(text: str) -> _UriPattern:
    scheme, colon, rest = text.partition(":")
    if not colon or not scheme.isalnum() or not rest:
        raise RequestRejected(f"{quoted(text)} is no pattern for URIs; one is https://example.com")
    scheme = scheme.lower()
    if not rest.startswith("//"):
        return _UriPattern(scheme, None, rest.removesuffix("*"), prefix=rest.endswith("*"))
    authority, slash, path = rest[2:].partition("/")
    host = read_pattern("dns", authority)
    if not slash:
        return _UriPattern(scheme, host, "", prefix=True)
    return _UriPattern(scheme, host, slash + path.removesuffix("*"), prefix=path.endswith("*"))


@lru_cache(maxsize=256)
def _patterns(kind: str, texts: tuple[str, ...]) -> tuple[tuple[str, Pattern], ...]:
    return tuple((text, read_pattern(kind, text)) for text in texts)


def denied_by(rules: NameRules, name: str) -> str | None:
    """Return the deny pattern that meets a canonical name, or ``None``."""
    found = (text for text, pattern in _patterns(rules.kind, rules.deny) if pattern.touches(name))
    return next(found, None)


def allowed_by(rules: NameRules, name: str) -> str | None:
    """Return the allow pattern that covers a canonical name, or ``None``."""
    found = (text for text, pattern in _patterns(rules.kind, rules.allow) if pattern.covers(name))
    return next(found, None)
