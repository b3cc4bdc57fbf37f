"""Lints of what a CA may do (RFC 5280 sections 4.2.1.9 to 4.2.1.11 and 4.2.1.14)."""

from cryptography import x509

from pikaserver.api.issuance import Lint, Severity
from pikaserver.authority.lints.reading import extension, is_authority, is_critical, usages


class BasicConstraintsAreCritical:
    """A CA certificate's basic constraints are critical."""

    citation = "RFC 5280 section 4.2.1.9"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if is_authority(draft) and not is_critical(draft, x509.BasicConstraints):
            return "basicConstraints of a CA certificate must be critical"
        return None


class PathLengthNeedsASigningAuthority:
    """A path length stands only where certificates may be signed."""

    citation = "RFC 5280 section 4.2.1.9"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = extension(draft, x509.BasicConstraints)
        if found is None or found.path_length is None:
            return None
        if not found.ca or "keyCertSign" not in usages(draft):
            return "a path length needs cA and keyCertSign"
        return None


class PathLengthFitsAbove:
    """A CA below another one has less path length left; self-issued ones do not count."""

    citation = "RFC 5280 section 6.1.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        above = None if issuer is None else extension(issuer, x509.BasicConstraints)
        found = extension(draft, x509.BasicConstraints)
        if above is None or above.path_length is None or found is None or not found.ca:
            return None
        if draft.subject == draft.issuer:
            return None
        if above.path_length == 0:
            return "the certificate above allows no CA below it (path length 0)"
        if found.path_length is None or found.path_length >= above.path_length:
            return f"the path length must be less than {above.path_length}, that of the one above"
        return None


class IssuerMaySign:
    """The certificate above is one of a CA that may sign certificates."""

    citation = "RFC 5280 section 6.1.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if issuer is None:
            return None
        if not is_authority(issuer):
            return "the certificate above is not one of a CA"
        allowed = usages(issuer)
        if allowed and "keyCertSign" not in allowed:
            return "the certificate above may not sign certificates"
        return None


class NameConstraintsNeedAnAuthority:
    """Name constraints stand only in CA certificates."""

    citation = "RFC 5280 section 4.2.1.10"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if extension(draft, x509.NameConstraints) is not None and not is_authority(draft):
            return "nameConstraints stand in a certificate that is not one of a CA"
        return None


class NameConstraintsAreCritical:
    """Name constraints are critical."""

    citation = "RFC 5280 section 4.2.1.10"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.NameConstraints)
        return "nameConstraints must be critical" if critical is False else None


class PolicyConstraintsAreCritical:
    """Policy constraints are critical."""

    citation = "RFC 5280 section 4.2.1.11"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.PolicyConstraints)
        return "policyConstraints must be critical" if critical is False else None


class InhibitAnyPolicyIsCritical:
    """An inhibition of anyPolicy is critical."""

    citation = "RFC 5280 section 4.2.1.14"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.InhibitAnyPolicy)
        return "inhibitAnyPolicy must be critical" if critical is False else None


LINTS: tuple[Lint, ...] = (
    BasicConstraintsAreCritical(),
    PathLengthNeedsASigningAuthority(),
    PathLengthFitsAbove(),
    IssuerMaySign(),
    NameConstraintsNeedAnAuthority(),
    NameConstraintsAreCritical(),
    PolicyConstraintsAreCritical(),
    InhibitAnyPolicyIsCritical(),
)
