"""Patterns of subjects, ``CN=Issuing CA *,O=Example``: compared RDN by RDN, never as text."""

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from hsm_agent.policy.faults import WrongValue

_SHORT = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "SN": NameOID.SURNAME,
    "GN": NameOID.GIVEN_NAME,
    "title": NameOID.TITLE,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
}
_ANYTHING_BEFORE = "*,"

Rdn = tuple[tuple[x509.ObjectIdentifier, re.Pattern[str]], ...]


@dataclass(frozen=True, slots=True)
class SubjectPattern:
    """One pattern; ``rdns`` stand in the order of the Name, the most general first.

    ``more`` allows any further, more precise ones.
    """

    text: str
    rdns: tuple[Rdn, ...]
    more: bool

    def matches(self, name: x509.Name) -> bool:
        """Tell whether a subject is one of those meant."""
        found = name.rdns
        if len(found) < len(self.rdns) or (len(found) > len(self.rdns) and not self.more):
            return False
        return all(map(_same, self.rdns, found))


ANY_SUBJECT = SubjectPattern("*", (), more=True)
"""Every subject, the empty one too."""


def read_pattern(text: str) -> SubjectPattern:
    """Read a pattern in the form of RFC 4514; ``*`` stands for any part of a value.

    ``*,O=Example`` allows anything in front; ``*`` alone is every subject.

    Raises:
        WrongValue: it is no name in this form.
    """
    if text == "*":
        return ANY_SUBJECT
    more = text.startswith(_ANYTHING_BEFORE)
    try:
        name = x509.Name.from_rfc4514_string(text.removeprefix(_ANYTHING_BEFORE), _SHORT)
    except (ValueError, KeyError, TypeError, Warning) as error:
        raise WrongValue(f"has {text!r}, which is no subject like 'CN=*,O=Example'") from error
    return SubjectPattern(text, tuple(_rdn(rdn) for rdn in name.rdns), more)


def _rdn(rdn: x509.RelativeDistinguishedName) -> Rdn:
    pairs = ((attribute.oid, _glob(str(attribute.value))) for attribute in rdn)
    return tuple(sorted(pairs, key=lambda pair: pair[0].dotted_string))


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


def _same(pattern: Rdn, rdn: x509.RelativeDistinguishedName) -> bool:
    found = sorted(rdn, key=lambda attribute: attribute.oid.dotted_string)
    return len(found) == len(pattern) and all(
        attribute.oid == oid
        and isinstance(attribute.value, str)
        and glob.fullmatch(attribute.value)
        for (oid, glob), attribute in zip(pattern, found, strict=True)
    )
