"""Lints of pointers and policies (RFC 5280 sections 4.2.1.4, 4.2.1.13 and 4.2.2.1)."""

from collections.abc import Iterable, Iterator

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from pikaserver.api.issuance import Lint, Severity
from pikaserver.authority.lints.reading import extension, is_critical

_EXPLICIT_TEXT = 200
_FETCHABLE = ("http://", "ldap://")


class CrlPointersAreNotCritical:
    """CRL distribution points are not critical."""

    citation = "RFC 5280 section 4.2.1.13"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.CRLDistributionPoints)
        return "cRLDistributionPoints should not be critical" if critical else None


class CrlsComeWithoutTls:
    """CRLs are fetched by http or ldap: over https the fetch would need a status itself."""

    citation = "RFC 5280 section 8"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        points = [
            *(extension(draft, x509.CRLDistributionPoints) or ()),
            *(extension(draft, x509.FreshestCRL) or ()),
        ]
        return _unfetchable(name for point in points for name in point.full_name or ())


class FreshestCrlIsNotCritical:
    """A pointer to delta CRLs is not critical."""

    citation = "RFC 5280 section 4.2.1.15"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return "freshestCRL is critical" if is_critical(draft, x509.FreshestCRL) else None


class AuthorityInformationIsNotCritical:
    """Authority information access is not critical."""

    citation = "RFC 5280 section 4.2.2.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.AuthorityInformationAccess)
        return "authorityInfoAccess is critical" if critical else None


class AuthorityInformationIsFetchable:
    """Issuer certificates and OCSP are reached by http, issuers also by ldap."""

    citation = "RFC 5280 section 4.2.2.1 and 8"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        accesses = extension(draft, x509.AuthorityInformationAccess) or ()
        return _unfetchable(access.access_location for access in accesses)


class AuthorityInformationIsKnown:
    """Authority information access holds caIssuers and ocsp only."""

    citation = "RFC 5280 section 4.2.2.1"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        known = (AuthorityInformationAccessOID.CA_ISSUERS, AuthorityInformationAccessOID.OCSP)
        for access in extension(draft, x509.AuthorityInformationAccess) or ():
            if access.access_method not in known:
                return f"authorityInfoAccess has the method {access.access_method.dotted_string}"
        return None


class PoliciesAreUnique:
    """No policy stands there twice."""

    citation = "RFC 5280 section 4.2.1.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = [
            policy.policy_identifier for policy in extension(draft, x509.CertificatePolicies) or ()
        ]
        return "a certificate policy stands there twice" if len(set(found)) < len(found) else None


class NoticesAreShort:
    """The text of a user notice has at most 200 characters."""

    citation = "RFC 5280 section 4.2.1.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for qualifier in _qualifiers(draft):
            if isinstance(qualifier, x509.UserNotice) and (
                len(qualifier.explicit_text or "") > _EXPLICIT_TEXT
            ):
                return f"a user notice has more than {_EXPLICIT_TEXT} characters"
        return None


class CpsIsAUrl:
    """The pointer to a certification practice statement is an http or https URL."""

    citation = "RFC 5280 section 4.2.1.4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        for qualifier in _qualifiers(draft):
            if isinstance(qualifier, str) and not qualifier.startswith(("http://", "https://")):
                return f"the CPS pointer {qualifier!r} is not an http or https URL"
        return None


def _qualifiers(draft: x509.Certificate) -> Iterator[str | x509.UserNotice]:
    for policy in extension(draft, x509.CertificatePolicies) or ():
        yield from policy.policy_qualifiers or ()


def _unfetchable(locations: Iterable[x509.GeneralName]) -> str | None:
    for location in locations:
        if isinstance(location, x509.UniformResourceIdentifier) and not (
            location.value.startswith(_FETCHABLE)
        ):
            return f"{location.value!r} is not an http:// or ldap:// URL"
    return None


LINTS: tuple[Lint, ...] = (
    CrlPointersAreNotCritical(),
    CrlsComeWithoutTls(),
    FreshestCrlIsNotCritical(),
    AuthorityInformationIsNotCritical(),
    AuthorityInformationIsFetchable(),
    AuthorityInformationIsKnown(),
    PoliciesAreUnique(),
    NoticesAreShort(),
    CpsIsAUrl(),
)
