"""Names in leaf certificates: alternative names, and what a subject says between the lines."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.name_forms import ANY, split_uri
from hsm_agent.policy.rule_groups import Names
from hsm_agent.structures.der import Malformed, expect, whole

_UPN = "1.3.6.1.4.1.311.20.2.3"
_UTF8_STRING = 0x0C
# Dots of all kinds, as IDNA takes them (RFC 3490 section 3.1).
_HOST_LIKE = re.compile(r"(\*[.\u3002\uff0e\uff61])?[\w-]+([.\u3002\uff0e\uff61][\w-]+)+\.?")

_ADDRESS_LIKE = re.compile(r"[0-9]+(\.[0-9]+){3}|[0-9a-f:.]*:[0-9a-f:.]*(%.*)?", re.IGNORECASE)
_MAILBOX_LIKE = re.compile(r"\S+@\S+")


def check_alternative_names(rules: Names, names: x509.SubjectAlternativeName) -> None:
    """Return when every name is well-formed, and covered by the list of its kind.

    Raises:
        Refusal: one is not.
    """
    found = list(names)
    if not found:
        raise Refusal("a subjectAltName without a name")
    for name in found:
        check = _CHECKS.get(type(name))
        if check is None:
            raise _outside("name", str(name))
        check(rules, name if isinstance(name, x509.OtherName) else name.value)


def check_subject_names(rules: Names, subject: x509.Name) -> None:
    """Return when what clients may take for a name is covered like an alternative name.

    Common names that look like a host, an address, a mailbox or a URI, and e-mail addresses.

    Raises:
        Refusal: one is not.
    """
    for attribute in subject:
        if attribute.oid == NameOID.EMAIL_ADDRESS:
            _check_email(rules, str(attribute.value))
        elif attribute.oid == NameOID.COMMON_NAME:
            _check_common_name(rules, str(attribute.value))


def _check_common_name(rules: Names, text: str) -> None:
    address = _address(text)
    if address is not None:
        _check_ip(rules, address)
    elif "://" in text:
        _check_uri(rules, text)
    elif _MAILBOX_LIKE.fullmatch(text):
        if not (rules.email.covers(text) or rules.upn.covers(text)):
            raise _outside("common name", text)
    elif _HOST_LIKE.fullmatch(text) and not rules.dns.everything:
        _check_dns(rules, text)


def _check_dns(rules: Names, name: object) -> None:
    text = str(name)
    if text.startswith("*"):
        if not rules.wildcards:
            raise Refusal(f"the DNS name {text!r} is a wildcard")
        covered = rules.dns.covers_wildcard(text)
    else:
        covered = rules.dns.covers(text)
    if not covered:
        raise _outside("DNS name", text)


def _check_email(rules: Names, name: object) -> None:
    if not rules.email.covers(str(name)):
        raise _outside("e-mail address", str(name))


def _check_ip(rules: Names, name: object) -> None:
    if not isinstance(name, IPv4Address | IPv6Address) or not any(
        name in network for network in rules.ip
    ):
        raise _outside("IP address", str(name))


def _check_uri(rules: Names, name: object) -> None:
    parts = split_uri(str(name))
    if parts is None:
        raise _outside("URI", str(name))
    scheme, host = parts
    address = _address(host.strip("[]"))
    if address is not None:
        _check_ip(rules, address)
    elif not (rules.uri.host_covers(host) if host else rules.uri.scheme_covers(scheme)):
        raise _outside("URI", str(name))


def _check_directory_name(rules: Names, name: object) -> None:
    if not isinstance(name, x509.Name) or not any(one.matches(name) for one in rules.dirname):
        text = name.rfc4514_string() if isinstance(name, x509.Name) else str(name)
        raise _outside("directory name", text)


def _check_other(rules: Names, name: object) -> None:
    if not isinstance(name, x509.OtherName):
        raise _outside("name", str(name))
    oid = name.type_id.dotted_string
    if oid == _UPN:
        if not rules.upn.covers(_utf8(name.value)):
            raise _outside("UPN", _utf8(name.value))
    elif oid not in rules.other_names and ANY not in rules.other_names:
        raise _outside("otherName of type", oid)


def _utf8(value: bytes) -> str:
    try:
        return expect(value, whole(value, "UPN"), _UTF8_STRING, "a UPN").decode()
    except (Malformed, UnicodeDecodeError):
        raise Refusal("a UPN that is no UTF8String") from None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if not _ADDRESS_LIKE.fullmatch(text):
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def _outside(what: str, text: str) -> Refusal:
    return Refusal(f"the {what} {text!r} is not one that the policy allows")


_CHECKS: Mapping[type[x509.GeneralName], Callable[[Names, object], None]] = {
    x509.DNSName: _check_dns,
    x509.RFC822Name: _check_email,
    x509.IPAddress: _check_ip,
    x509.UniformResourceIdentifier: _check_uri,
    x509.DirectoryName: _check_directory_name,
    x509.OtherName: _check_other,
}
