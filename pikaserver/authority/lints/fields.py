"""Lints of the fields that every certificate has (RFC 5280 section 4.1)."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.issuance import Lint, Severity
from pikaserver.asn1.elements import GENERALIZED_TIME, UTC_TIME, children
from pikaserver.authority.lints.reading import tbs_fields

_SERIAL_OCTETS = 20
_GENERALIZED_TIME_FROM = datetime(2050, 1, 1, tzinfo=UTC)
# Where they stand in `tbs_fields`.
_SIGNATURE, _VALIDITY = 1, 3
_ISSUER_UNIQUE_ID, _SUBJECT_UNIQUE_ID = 0x81, 0x82


class VersionIsThree:
    """A certificate with extensions says that it is of version 3."""

    citation = "RFC 5280 section 4.1.2.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return None if draft.version is x509.Version.v3 else "the version is not 3"


class SerialIsPositive:
    """A serial number is greater than zero."""

    citation = "RFC 5280 section 4.1.2.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        return None if draft.serial_number > 0 else "the serial number is not positive"


class SerialHasAtMostTwentyOctets:
    """A serial number fits into 20 octets."""

    citation = "RFC 5280 section 4.1.2.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        octets = draft.serial_number.bit_length() // 8 + 1
        if octets > _SERIAL_OCTETS:
            return f"the serial number has {octets} octets; {_SERIAL_OCTETS} are allowed"
        return None


class SignatureAlgorithmsAgree:
    """The algorithm inside the signed part is the one beside the signature."""

    citation = "RFC 5280 section 4.1.1.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        der = draft.public_bytes(Encoding.DER)
        outer = list(children(der))[1]
        if tbs_fields(draft)[_SIGNATURE] != der[outer.at : outer.end]:
            return "the two signature algorithms differ"
        return None


class ValidityIsInOrder:
    """A certificate does not end before it begins."""

    citation = "RFC 5280 section 4.1.2.5"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if draft.not_valid_after_utc < draft.not_valid_before_utc:
            return "notAfter is before notBefore"
        return None


class TimesHaveTheirType:
    """Times through 2049 are UTCTime, later ones GeneralizedTime."""

    citation = "RFC 5280 section 4.1.2.5"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        fields = children(tbs_fields(draft)[_VALIDITY])
        moments = (draft.not_valid_before_utc, draft.not_valid_after_utc)
        for found, moment in zip(fields, moments, strict=True):
            wanted = GENERALIZED_TIME if moment >= _GENERALIZED_TIME_FROM else UTC_TIME
            if found.tag != wanted:
                return f"{moment:%Y-%m-%d} is written in the wrong type of time"
        return None


class NoUniqueIdentifiers:
    """Unique identifiers of issuer and subject are not generated."""

    citation = "RFC 5280 section 4.1.2.8"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        tags = {field[0] for field in tbs_fields(draft)}
        if tags & {_ISSUER_UNIQUE_ID, _SUBJECT_UNIQUE_ID}:
            return "there is a unique identifier"
        return None


class ExtensionsReadable:
    """Extensions are well-formed and none stands there twice."""

    citation = "RFC 5280 section 4.2"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        try:
            list(draft.extensions)
        except x509.DuplicateExtension as problem:
            return f"the extension {problem.oid.dotted_string} stands there twice"
        except ValueError as problem:
            return f"the extensions cannot be read: {problem}"
        return None


class EndsBeforeIssuer:
    """A certificate does not outlive the one above it."""

    citation = "RFC 5280 section 6.1.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if issuer is not None and draft.not_valid_after_utc > issuer.not_valid_after_utc:
            return f"it ends after its issuer, which ends {issuer.not_valid_after_utc:%Y-%m-%d}"
        return None


class BeginsAfterIssuer:
    """A certificate is not valid before the one above it."""

    citation = "RFC 5280 section 6.1.3"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if issuer is not None and draft.not_valid_before_utc < issuer.not_valid_before_utc:
            return f"it begins before its issuer, {issuer.not_valid_before_utc:%Y-%m-%d %H:%M}"
        return None


LINTS: tuple[Lint, ...] = (
    VersionIsThree(),
    SerialIsPositive(),
    SerialHasAtMostTwentyOctets(),
    SignatureAlgorithmsAgree(),
    ValidityIsInOrder(),
    TimesHaveTheirType(),
    NoUniqueIdentifiers(),
    ExtensionsReadable(),
    EndsBeforeIssuer(),
    BeginsAfterIssuer(),
)
