"""Lints from the CA/Browser Forum's Baseline Requirements that suit a private authority."""

from datetime import timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import Lint, Severity
from pikaserver.api.operations import Clock
from pikaserver.authority.lints.reading import is_authority, names, purposes
from pikaserver.authority.naming import forms as name_forms

_SERIAL_BITS = 64
_DISTANCE = timedelta(hours=48)


class SerialHasRoomForEntropy:
    """A serial number is long enough to hold 64 random bits."""

    citation = "CA/Browser Forum Baseline Requirements section 7.1"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        # A random number of 64 bits begins with 16 zero bits once in 65,536 times.
        if draft.serial_number.bit_length() < _SERIAL_BITS - 16:
            return f"the serial number is too short to hold {_SERIAL_BITS} random bits"
        return None


class ServersHaveNames:
    """A server certificate has subject alternative names."""

    citation = "CA/Browser Forum Baseline Requirements section 7.1.2.7.12"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if _is_server(draft) and not names(draft):
            return "a server certificate must have subject alternative names"
        return None


class CommonNameIsAmongTheNames:
    """In a server certificate a common name that looks like a host is one of the names."""

    citation = "CA/Browser Forum Baseline Requirements section 7.1.4.3"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if not _is_server(draft):
            return None
        known = {str(name.value).lower() for name in names(draft)}
        for attribute in draft.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            text = str(attribute.value)
            if _looks_like_a_host(text) and text.lower() not in known:
                return f"the common name {text!r} is not one of the subject alternative names"
        return None


class NotBeforeIsNow:
    """notBefore lies within 48 hours of the signing."""

    citation = "CA/Browser Forum Baseline Requirements section 7.1.2.7"
    severity = Severity.ERROR

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        if abs(draft.not_valid_before_utc - self._clock()) > _DISTANCE:
            return f"notBefore, {draft.not_valid_before_utc:%Y-%m-%d %H:%M}, is not within 48 hours"
        return None


def _is_server(draft: x509.Certificate) -> bool:
    return ExtendedKeyUsageOID.SERVER_AUTH in purposes(draft) and not is_authority(draft)


def _looks_like_a_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        pass
    else:
        return True
    try:
        name_forms.dns_name(text, wildcards=True)
    except RequestRejected:
        return False
    return True


LINTS: tuple[Lint, ...] = (
    SerialHasRoomForEntropy(),
    ServersHaveNames(),
    CommonNameIsAmongTheNames(),
)
