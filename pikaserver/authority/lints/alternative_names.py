"""Lints of the subject alternative name (RFC 5280 section 4.2.1.6)."""

from ipaddress import IPv4Address, IPv6Address

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import Lint, Severity
from pikaserver.authority.lints.reading import extension, is_critical, names
from pikaserver.authority.naming import forms as name_forms


class EmptySubjectNeedsCriticalNames:
    """Without a subject the names are all there is, and critical."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if not draft.subject.rdns and not is_critical(draft, x509.SubjectAlternativeName):
            return "the subject is empty, so subjectAltName must be there and critical"
        return None


class NamesBesideASubjectAreNotCritical:
    """Beside a subject the names are not critical."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if draft.subject.rdns and is_critical(draft, x509.SubjectAlternativeName):
            return "subjectAltName should not be critical beside a subject"
        return None


class NamesAreNotEmpty:
    """The extension holds at least one name."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = extension(draft, x509.SubjectAlternativeName)
        return "subjectAltName holds no name" if found is not None and not list(found) else None


class NamesAreUnique:
    """No name stands there twice."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = names(draft)
        return "a name stands there twice" if len(set(found)) < len(found) else None


class DnsNamesHaveTheirForm:
    """DNS names are labels of letters, digits and hyphens, international ones A-labels."""

    citation = "RFC 5280 section 4.2.1.6 and RFC 5890 section 2.3.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for name in names(draft):
            if isinstance(name, x509.DNSName):
                try:
                    name_forms.dns_name(name.value, wildcards=True, single_labels=True)
                except RequestRejected as problem:
                    return str(problem)
        return None


class DnsNamesHaveADot:
    """A DNS name is written in full; a single label means another host at each place."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for name in names(draft):
            if isinstance(name, x509.DNSName) and "." not in name.value:
                return f"the DNS name {name.value!r} has a single label"
        return None


class IpNamesAreOneAddress:
    """An IP name is 4 or 16 octets: an address without a mask."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for name in names(draft):
            if isinstance(name, x509.IPAddress) and not isinstance(
                name.value, IPv4Address | IPv6Address
            ):
                return f"the IP name {name.value} is a network"
        return None


class EmailNamesAreMailboxes:
    """An e-mail name is a mailbox, without a phrase, a comment or angle brackets."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for name in names(draft):
            if isinstance(name, x509.RFC822Name):
                try:
                    name_forms.email_name(name.value)
                except RequestRejected as problem:
                    return str(problem)
        return None


class UrisAreAbsolute:
    """A URI has a scheme and, after ``//``, a full host."""

    citation = "RFC 5280 section 4.2.1.6"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for name in names(draft):
            if isinstance(name, x509.UniformResourceIdentifier):
                try:
                    name_forms.uri_name(name.value)
                except RequestRejected as problem:
                    return str(problem)
        return None


LINTS: tuple[Lint, ...] = (
    EmptySubjectNeedsCriticalNames(),
    NamesBesideASubjectAreNotCritical(),
    NamesAreNotEmpty(),
    NamesAreUnique(),
    DnsNamesHaveTheirForm(),
    DnsNamesHaveADot(),
    IpNamesAreOneAddress(),
    EmailNamesAreMailboxes(),
    UrisAreAbsolute(),
)
