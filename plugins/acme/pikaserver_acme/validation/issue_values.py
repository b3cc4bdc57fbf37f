"""The values of CAA's issue properties (RFC 8659 section 4.2); dns-persist-01 writes them, too."""

import re
from dataclasses import dataclass

from pikaserver.api.errors import MalformedRequest

LONGEST_VALUE = 2048
_BLANKS = " \t"
_LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_TAG = re.compile(_LABEL, re.ASCII)
_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class IssueValue:
    """Who may issue; an empty ``issuer`` means nobody.

    ``parameters`` are tags in small letters with their values, in order, repetitions included.
    """

    issuer: str
    parameters: tuple[tuple[str, str], ...]

    def all(self, tag: str) -> list[str]:
        """Return every value of a parameter."""
        return [value for each, value in self.parameters if each == tag]

    def one(self, tag: str) -> str | None:
        """Return the value of a parameter, ``None`` when it is not there.

        Raises:
            MalformedRequest: it is there twice.
        """
        found = self.all(tag)
        if len(found) > 1:
            raise MalformedRequest(f"{tag!r} is there {len(found)} times")
        return found[0] if found else None


def read_issue_value(text: str) -> IssueValue:
    """Read ``[issuer-domain-name] [";" parameters]``.

    Raises:
        MalformedRequest: it breaks the grammar; such a property allows nobody to issue.
    """
    if len(text) > LONGEST_VALUE:
        raise MalformedRequest(f"more than {LONGEST_VALUE} characters")
    issuer, semicolon, rest = text.partition(";")
    issuer = issuer.strip(_BLANKS)
    if issuer and not _DOMAIN.fullmatch(issuer):
        raise MalformedRequest(f"{issuer[:100]!r} is not a domain name")
    if not semicolon or not rest.strip(_BLANKS):
        return IssueValue(issuer.lower(), ())
    return IssueValue(issuer.lower(), tuple(_parameter(each) for each in rest.split(";")))


def _parameter(text: str) -> tuple[str, str]:
    tag, sign, value = text.partition("=")
    tag, value = tag.strip(_BLANKS), value.strip(_BLANKS)
    if not sign or not _TAG.fullmatch(tag) or not _VALUE.fullmatch(value):
        raise MalformedRequest(f"{text[:100]!r} is not a parameter")
    return tag.lower(), value
