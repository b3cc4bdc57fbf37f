"""The forms of names, and which names an entry of the policy covers."""

import re
from dataclasses import dataclass

from hsm_agent.policy.faults import WrongValue

ANY = "*"

_DNS_OCTETS = 253
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LOCAL_PART = re.compile(r"[^\s@\"\\<>(),:;\[\]\x00-\x20\x7f-\x9f]+")
_URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/?#]*))?"
    r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*",
    re.ASCII | re.IGNORECASE,
)
_AUTHORITY = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|[^:@\[\]]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII)
_TOP_LEVEL = 1


def host(text: str) -> str | None:
    """Return a host name in small letters, ``None`` for what is none.

    Labels of letters, digits, hyphens and underscores; no dot at the end, and nothing that a
    resolver takes for an address.
    """
    name = text.lower()
    if len(name) > _DNS_OCTETS or not name.isascii() or not _HOST.fullmatch(name):
        return None
    return None if _NUMBER.fullmatch(name.rpartition(".")[2]) else name


def below(name: str, base: str) -> bool:
    """Tell whether a host is this one or one below it, by labels."""
    return name == base or name.endswith(f".{base}")


@dataclass(frozen=True, slots=True)
class Hosts:
    """Host names that are allowed, each with all below it."""

    bases: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether there is no restriction."""
        return ANY in self.bases

    def covers(self, text: str) -> bool:
        """Tell whether a host name is well-formed and allowed."""
        name = host(text)
        return name is not None and (self.everything or any(below(name, b) for b in self.bases))

    def covers_wildcard(self, text: str) -> bool:
        """Tell the same of ``*.example.com``, which never stands for a top-level domain."""
        star, _, base = text.partition(".")
        return star == "*" and base.count(".") >= _TOP_LEVEL and self.covers(base)


def host_base(word: str) -> str:
    """Read an entry of `Hosts`.

    Raises:
        WrongValue: it is neither a host name nor ``*``.
    """
    if word == ANY:
        return word
    base = host(word)
    if base is None:
        hint = "; subdomains are meant anyhow" if word.startswith(("*.", ".")) else ""
        raise WrongValue(f"has {word!r}, which is no host name{hint}")
    return base


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """Mail addresses, or user principal names: domains with all below them, and single ones."""

    entries: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether there is no restriction."""
        return ANY in self.entries

    def covers(self, text: str) -> bool:
        """Tell whether an address is well-formed and allowed."""
        local, at, domain = text.rpartition("@")
        name = host(domain)
        if not at or name is None or not _LOCAL_PART.fullmatch(local):
            return False
        if self.everything or f"{local}@{name}" in self.entries:
            return True
        return any(below(name, entry) for entry in self.entries if "@" not in entry)


def mailbox(word: str) -> str:
    """Read an entry of `Mailboxes`.

    Raises:
        WrongValue: it is neither a domain, nor an address, nor ``*``.
    """
    if word == ANY:
        return word
    local, at, domain = word.rpartition("@")
    name = host(domain)
    if name is None or (at and not _LOCAL_PART.fullmatch(local)):
        raise WrongValue(f"has {word!r}, which is neither a domain nor an address")
    return f"{local}{at}{name}"


@dataclass(frozen=True, slots=True)
class Uris:
    """URIs: hosts with all below them, and whole schemes, ``urn:``, of URIs without a host."""

    entries: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether there is no restriction."""
        return ANY in self.entries

    def scheme_covers(self, scheme: str) -> bool:
        """Tell whether URIs of this scheme need no host."""
        return self.everything or f"{scheme}:" in self.entries

    def host_covers(self, text: str) -> bool:
        """Tell whether a host name is allowed in a URI."""
        return Hosts(self.entries).covers(text)


def uri_entry(word: str) -> str:
    """Read an entry of `Uris`.

    Raises:
        WrongValue: it is neither a host, nor a scheme with its colon, nor ``*``.
    """
    if _SCHEME.fullmatch(word):
        return word
    if ":" in word:
        raise WrongValue(f"has {word!r}; write the host alone, or a scheme like 'urn:'")
    return host_base(word)


def split_uri(text: str) -> tuple[str, str] | None:
    """Return scheme and host (empty without one) of a URI, ``None`` for what is none.

    A user in front of the host is refused, for people read it as the host.
    """
    found = _URI.fullmatch(text)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    if not found["authority"]:
        return scheme, ""
    authority = _AUTHORITY.fullmatch(found["authority"])
    return None if authority is None else (scheme, authority["host"])
