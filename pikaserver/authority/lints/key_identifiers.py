"""Lints of key identifiers (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""

from cryptography import x509

from pikaserver.api.issuance import Lint, Severity
from pikaserver.authority.lints.reading import extension, is_authority, is_critical


class AuthorityHasItsKeyIdentifier:
    """A CA certificate carries its key identifier."""

    citation = "RFC 5280 section 4.2.1.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if is_authority(draft) and extension(draft, x509.SubjectKeyIdentifier) is None:
            return "a CA certificate must carry subjectKeyIdentifier"
        return None


class HolderHasItsKeyIdentifier:
    """A certificate of an end entity carries its key identifier, too."""

    citation = "RFC 5280 section 4.2.1.2"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if not is_authority(draft) and extension(draft, x509.SubjectKeyIdentifier) is None:
            return "a certificate should carry subjectKeyIdentifier"
        return None


class SubjectKeyIdentifierIsNotCritical:
    """The subject's key identifier is not critical."""

    citation = "RFC 5280 section 4.2.1.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.SubjectKeyIdentifier)
        return "subjectKeyIdentifier is critical" if critical else None


class AuthorityKeyIdentifierIsThere:
    """A certificate says by which key it is signed, unless it is self-signed."""

    citation = "RFC 5280 section 4.2.1.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if issuer is None:
            return None
        found = extension(draft, x509.AuthorityKeyIdentifier)
        if found is None or found.key_identifier is None:
            return "authorityKeyIdentifier with a keyIdentifier is missing"
        return None


class AuthorityKeyIdentifierIsNotCritical:
    """The issuer's key identifier is not critical."""

    citation = "RFC 5280 section 4.2.1.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.AuthorityKeyIdentifier)
        return "authorityKeyIdentifier is critical" if critical else None


class AuthorityKeyIdentifierIsThatAbove:
    """The issuer's key identifier is the one in the certificate above."""

    citation = "RFC 5280 section 4.2.1.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = extension(draft, x509.AuthorityKeyIdentifier)
        above = extension(draft if issuer is None else issuer, x509.SubjectKeyIdentifier)
        if found is None or found.key_identifier is None or above is None:
            return None
        if found.key_identifier != above.digest:
            return "authorityKeyIdentifier is not the key identifier of the certificate above"
        return None


LINTS: tuple[Lint, ...] = (
    AuthorityHasItsKeyIdentifier(),
    HolderHasItsKeyIdentifier(),
    SubjectKeyIdentifierIsNotCritical(),
    AuthorityKeyIdentifierIsThere(),
    AuthorityKeyIdentifierIsNotCritical(),
    AuthorityKeyIdentifierIsThatAbove(),
)
