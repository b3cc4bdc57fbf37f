"""Lints of key usage and extended key usage (RFC 5280 sections 4.2.1.3 and 4.2.1.12)."""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.issuance import Lint, Severity
from pikaserver.authority.lints.reading import (
    extension,
    is_authority,
    is_critical,
    purposes,
    usages,
)
from pikaserver.authority.templates.usages import CONSISTENT_USAGES, extended_key_usage_name


class AuthorityMaySign:
    """A CA certificate carries key usage, with keyCertSign."""

    citation = "RFC 5280 section 4.2.1.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if is_authority(draft) and "keyCertSign" not in usages(draft):
            return "a CA certificate must carry keyUsage with keyCertSign"
        return None


class OnlyAuthoritiesSign:
    """Only a CA certificate has keyCertSign."""

    citation = "RFC 5280 section 4.2.1.9"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if "keyCertSign" in usages(draft) and not is_authority(draft):
            return "keyCertSign stands in a certificate that is not one of a CA"
        return None


class KeyUsageIsCritical:
    """Key usage is critical."""

    citation = "RFC 5280 section 4.2.1.3"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        critical = is_critical(draft, x509.KeyUsage)
        return "keyUsage should be critical" if critical is False else None


class KeyUsageIsNotEmpty:
    """Key usage names at least one use."""

    citation = "RFC 5280 section 4.2.1.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if extension(draft, x509.KeyUsage) is not None and not usages(draft):
            return "keyUsage names no use"
        return None


class PurposesFitKeyUsage:
    """For each purpose at least one key usage is there that goes with it."""

    citation = "RFC 5280 section 4.2.1.12"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = usages(draft)
        if not found:
            return None
        for purpose in purposes(draft):
            name = extended_key_usage_name(purpose.dotted_string)
            consistent = CONSISTENT_USAGES.get(name)
            if consistent is not None and not consistent & found:
                return f"{name} needs {' or '.join(sorted(consistent))} in keyUsage"
        return None


class AnyPurposeIsNotCritical:
    """An extended key usage with anyExtendedKeyUsage is not critical."""

    citation = "RFC 5280 section 4.2.1.12"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes(draft) and is_critical(
            draft, x509.ExtendedKeyUsage
        ):
            return "extendedKeyUsage with anyExtendedKeyUsage should not be critical"
        return None


class TimeStampingStandsAlone:
    """A time-stamping certificate is for nothing else, and says so critically."""

    citation = "RFC 3161 section 2.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        found = purposes(draft)
        if ExtendedKeyUsageOID.TIME_STAMPING not in found or is_authority(draft):
            return None
        if len(found) > 1 or not is_critical(draft, x509.ExtendedKeyUsage):
            return "timeStamping must be the only extended key usage, and critical"
        return None


class ResponderNeedsNoCheck:
    """An OCSP responder's certificate says how its own status is found."""

    citation = "RFC 6960 section 4.2.2.2.1"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes(draft) or is_authority(draft):
            return None
        pointers = (x509.OCSPNoCheck, x509.CRLDistributionPoints, x509.AuthorityInformationAccess)
        if all(extension(draft, kind) is None for kind in pointers):
            return "an OCSP responder has neither ocsp-nocheck nor a pointer to its status"
        return None


LINTS: tuple[Lint, ...] = (
    AuthorityMaySign(),
    OnlyAuthoritiesSign(),
    KeyUsageIsCritical(),
    KeyUsageIsNotEmpty(),
    PurposesFitKeyUsage(),
    AnyPurposeIsNotCritical(),
    TimeStampingStandsAlone(),
    ResponderNeedsNoCheck(),
)
