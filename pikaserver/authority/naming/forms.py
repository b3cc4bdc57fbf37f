"""The one canonical form of each kind of name; whatever has another form is refused."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import idna
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.names import UPN
from pikaserver.authority.decisions import quoted
from pikaserver.authority.naming.text import check_scripts, check_text

_LABEL_OCTETS = 63
_DNS_OCTETS = 253
_LOCAL_OCTETS = 64
_EMAIL_OCTETS = 254
_URI_OCTETS = 2048
_UTF8_STRING = 0x0C
_WILDCARD_LABELS = 3

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
# RFC 5322 section 3.2.3: dot-atom; quoted local parts are legal mail and refused here.
_LOCAL_PART = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII
)
_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(//(?P<authority>[^/?#]*))?(?P<rest>[^#]*)(#.*)?",
    re.ASCII,
)
# RFC 3986 section 2: reserved, unreserved, and percent signs before two hexadecimal digits.
_URI_CHARACTERS = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", re.ASCII)
# Dot segments, and letters, digits, dots or slashes in disguise, would slip past rules on paths.
_DISGUISED = re.compile(
    r"(?i)%(00|2[def]|3[0-9]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae])|/\.\.?(/|$)", re.ASCII
)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


def dns_name(text: str, *, wildcards: bool = False, single_labels: bool = False) -> str:
    """Return a DNS name in lower case: labels of letters, digits and hyphens (RFC 5280 4.2.1.6).

    International names come as A-labels that IDNA 2008 accepts (RFC 5890).  A wildcard is
    the whole first label, below at least two others.

    Raises:
        RequestRejected: it is anything else, something that resolvers take for an IP address
            included (``127.1``, ``2130706433``, ``0x7f.1``).
    """
    name = text.lower() if text.isascii() else text
    labels = name.split(".")
    if len(name) > _DNS_OCTETS:
        raise RequestRejected(f"the DNS name {quoted(text)} is longer than {_DNS_OCTETS} octets")
    if labels[0] == "*":
        _check_wildcard(text, labels, wildcards=wildcards)
        labels = labels[1:]
    for label in labels:
        _check_label(text, label)
    if len(labels) == 1 and not single_labels:
        raise RequestRejected(f"the DNS name {quoted(text)} has a single label; write it in full")
    if _NUMBER.fullmatch(labels[-1]):
        raise RequestRejected(f"the DNS name {quoted(text)} looks like an IP address")
    return name


def _check_wildcard(text: str, labels: list[str], *, wildcards: bool) -> None:
    if not wildcards:
        raise RequestRejected(f"the DNS name {quoted(text)} is a wildcard; none are allowed")
    if len(labels) < _WILDCARD_LABELS:
        raise RequestRejected(f"the wildcard {quoted(text)} covers a whole top-level domain")


def _check_label(text: str, label: str) -> None:
    if not label:
        raise RequestRejected(
            f"the DNS name {quoted(text)} has an empty label, or a dot at its end"
        )
    if len(label) > _LABEL_OCTETS:
        raise RequestRejected(f"a label of {quoted(text)} is longer than {_LABEL_OCTETS} octets")
    if "*" in label:
        raise RequestRejected(f"{quoted(text)}: a wildcard is the whole first label or nothing")
    if not _LABEL.fullmatch(label):
        raise RequestRejected(
            f"the DNS name {quoted(text)} has a label that is not letters, digits and inner hyphens"
        )
    if label[2:4] == "--":
        _check_a_label(text, label)


def _check_a_label(text: str, label: str) -> None:
    try:
        unicode_label = idna.ulabel(label)
        same = idna.alabel(unicode_label).decode("ascii") == label
    except UnicodeError:  # idna.IDNAError is one
        same = False
    if not same or not label.startswith("xn--"):
        raise RequestRejected(f"the label {quoted(label)} of {quoted(text)} is not valid IDNA 2008")
    try:
        check_scripts(unicode_label)
    except RequestRejected as problem:
        raise RequestRejected(f"the label {quoted(label)} of {quoted(text)}: {problem}") from None


def ip_name(value: object) -> str:
    """Return an IP address as text: one host's, exactly 4 or 16 octets, no mask.

    Raises:
        RequestRejected: a network, a group, no address at all, or IPv4 dressed up as IPv6.
    """
    if not isinstance(value, IPv4Address | IPv6Address):
        raise RequestRejected(f"{quoted(str(value))} is not one IP address; a name has no mask")
    if isinstance(value, IPv6Address) and value.ipv4_mapped is not None:
        raise RequestRejected(f"{value} is an IPv4 address; ask for {value.ipv4_mapped}")
    reserved = value.is_reserved and not value.is_loopback
    if value.is_unspecified or value.is_multicast or reserved:
        raise RequestRejected(f"{value} is not the address of a host")
    return str(value)


def host_name(text: str) -> str:
    """Return a DNS name, of one label even, or an IP address: by what a machine is reached.

    Raises:
        RequestRejected: it is neither.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return dns_name(text, single_labels=True)
    return ip_name(address)


def email_name(text: str) -> str:
    """Return a mailbox with its domain in lower case (RFC 5280 section 4.2.1.6).

    Raises:
        RequestRejected: not ``local@domain`` in ASCII, or the domain is not a DNS name.
    """
    local, _, domain = text.rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or len(local) > _LOCAL_OCTETS or len(text) > _EMAIL_OCTETS:
        raise RequestRejected(f"{quoted(text)} is not an e-mail address in plain ASCII")
    return f"{local}@{dns_name(domain)}"


def upn_name(text: str, *, single_labels: bool = False) -> str:
    """Return ``user@realm`` with the realm in lower case.

    Raises:
        RequestRejected: it is not of that form.
    """
    user, _, realm = text.rpartition("@")
    try:
        check_text(user)
    except RequestRejected as problem:
        raise RequestRejected(f"the user principal name {quoted(text)}: {problem}") from None
    if "@" in user or " " in user or len(user) > _LOCAL_OCTETS:
        raise RequestRejected(f"{quoted(text)} is not a user principal name like user@realm")
    return f"{user}@{dns_name(realm, single_labels=single_labels)}"


def upn_general_name(text: str) -> x509.OtherName:
    """Return the otherName that carries a user principal name."""
    return x509.OtherName(UPN, der.element(_UTF8_STRING, text.encode("utf-8")))


@dataclass(frozen=True, slots=True)
class Uri:
    """An absolute URI in parts; ``rest`` is path and query, ``host`` is ``None`` without ``//``."""

    text: str
    scheme: str
    host: str | None
    rest: str


def uri_name(text: str) -> Uri:
    """Return an absolute URI (RFC 3986) with scheme and host in lower case.

    Raises:
        RequestRejected: relative, with user information, with dot segments or needless %xx in
            its path, or with a host that is neither a DNS name nor an IP address.
    """
    # The characters come first: with others, the pattern's time grows with the square.
    fit = len(text) <= _URI_OCTETS and _URI_CHARACTERS.fullmatch(text)
    found = _URI.fullmatch(text) if fit else None
    if found is None:
        raise RequestRejected(f"{quoted(text)} is not an absolute URI")
    scheme, authority, rest = found["scheme"].lower(), found["authority"], found["rest"]
    if _DISGUISED.search(rest.partition("?")[0]):
        raise RequestRejected(f"the URI {quoted(text)} has characters in disguise in its path")
    if authority is None:
        if not rest:
            raise RequestRejected(f"{quoted(text)} is not an absolute URI")
        return Uri(f"{scheme}:{text[len(scheme) + 1 :]}", scheme, None, rest)
    host, port = _host_and_port(text, authority)
    shown = f"{host}:{port}" if port else host
    tail = text[len(scheme) + 3 + len(authority) :]
    return Uri(f"{scheme}://{shown}{tail}", scheme, host, rest)


def _host_and_port(text: str, authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise RequestRejected(f"the URI {quoted(text)} has user information")
    if authority.startswith("["):
        literal, bracket, port = authority[1:].partition("]")
        return f"[{_uri_address(text, literal if bracket else '')}]", _port(text, port)
    host, colon, number = authority.partition(":")
    port = _port(text, colon + number)
    try:
        return dns_name(host, single_labels=True), port
    except RequestRejected:
        return _uri_address(text, host), port


def _uri_address(text: str, host: str) -> str:
    try:
        return ip_name(ip_address(host))
    except (ValueError, RequestRejected):
        raise RequestRejected(
            f"the host of the URI {quoted(text)} is not a name or address"
        ) from None


def _port(text: str, colon_and_number: str) -> str:
    if not colon_and_number:
        return ""
    number = colon_and_number[1:]
    if colon_and_number[0] != ":" or not _PORT.fullmatch(number):
        raise RequestRejected(f"the port of the URI {quoted(text)} is not a number")
    return number
