"""What a challenge may be bound to, as people write it and as it is kept."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.names import general_name_text

LONGEST_NAME = 200
LONGEST_SUBJECT = 1000
MOST_NAMES = 20

# Attributes that RFC 4514 gives no short word to, by the words that are in use.
_WORDS = {
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "E": NameOID.EMAIL_ADDRESS,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "title": NameOID.TITLE,
}
_OIDS = {
    spelling: oid for word, oid in _WORDS.items() for spelling in (word, word.upper(), word.lower())
}
# People write a blank after a comma; one that belongs to a value has a backslash before it.
_BLANKS = re.compile(r"(?<!\\),\s+")
_BLANK_END = re.compile(r"(?<!\\)\s+$")
WORDS = {oid: word for word, oid in reversed(_WORDS.items())}


@dataclass(frozen=True, slots=True)
class Binding:
    """A request for this, and nothing else; unset parts restrict nothing by themselves."""

    common_name: str | None = None
    subject: x509.Name | None = None
    names: frozenset[x509.GeneralName] | None = None

    @property
    def subject_text(self) -> str | None:
        """The subject as RFC 4514 writes it."""
        return None if self.subject is None else self.subject.rfc4514_string(WORDS)

    @property
    def name_texts(self) -> list[str]:
        """The alternative names in order: ``dns:plc-21.example``."""
        return sorted(map(general_name_text, self.names or ()))

    @property
    def names_json(self) -> str | None:
        """The alternative names as they are kept."""
        return None if self.names is None else json.dumps(self.name_texts)

    def __str__(self) -> str:
        words = [f"CN={self.common_name}"] if self.common_name else []
        return ", ".join([*words, *filter(None, [self.subject_text]), *self.name_texts])


def read_binding(
    common_name: str | None, subject: str | None, names: Sequence[str] = ()
) -> Binding:
    """Return what a challenge shall be bound to.

    Args:
        common_name: the CN.
        subject: the whole subject as RFC 4514 writes it.
        names: ``dns:``, ``ip:`` or ``email:``, and what is meant.

    Raises:
        RequestRejected: something cannot be read, or contradicts.
    """
    if common_name is not None and not 1 <= len(common_name) <= LONGEST_NAME:
        raise RequestRejected(f"a name has 1 to {LONGEST_NAME} characters")
    if common_name is not None and subject is not None:
        raise RequestRejected("name the common name or the whole subject, not both")
    if len(names) > MOST_NAMES:
        raise RequestRejected(f"a challenge is bound to at most {MOST_NAMES} names")
    return Binding(
        common_name,
        None if subject is None else _read_subject(subject),
        frozenset(map(_read_name, names)) or None,
    )


def kept_binding(common_name: str | None, subject: str | None, names: str | None) -> Binding:
    """Return the same from its columns."""
    return read_binding(common_name, subject, [] if names is None else json.loads(names))


def _read_subject(text: str) -> x509.Name:
    try:
        written = _BLANK_END.sub("", _BLANKS.sub(",", text.lstrip()))
        name = x509.Name.from_rfc4514_string(written, _OIDS)
    except (ValueError, KeyError):
        name = x509.Name([])
    if not list(name) or len(text) > LONGEST_SUBJECT:
        raise RequestRejected(
            f"{text[:LONGEST_NAME]!a} is not a subject like 'CN=plc-21,O=Example,C=CH' (RFC 4514)"
        )
    return name


def _read_name(text: str) -> x509.GeneralName:
    kind, _, value = text.strip().partition(":")
    try:
        found = _KINDS[kind](value.strip())
    except (KeyError, ValueError):
        found = None
    if found is None or len(text) > LONGEST_NAME:
        raise RequestRejected(
            f"{text[:LONGEST_NAME]!a} is not a name like dns:plc-21.example, ip:192.0.2.21 or"
            " email:anna@example.org"
        )
    return found


def _read_dns(value: str) -> x509.GeneralName | None:
    return x509.DNSName(value.lower()) if re.fullmatch(r"[!-~]+", value) else None


def _read_email(value: str) -> x509.GeneralName | None:
    return x509.RFC822Name(value) if re.fullmatch(r"[!-~]+@[!-~]+", value) else None


_KINDS: Mapping[str, Callable[[str], x509.GeneralName | None]] = MappingProxyType(
    {"dns": _read_dns, "ip": lambda text: x509.IPAddress(ip_address(text)), "email": _read_email}
)
