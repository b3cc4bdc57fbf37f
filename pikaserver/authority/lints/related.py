"""Lints of the extension that binds a certificate to another one (RFC 9763)."""

from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import Lint, Severity
from pikaserver.asn1.related_certificates import RELATED_CERTIFICATE, related_hash
from pikaserver.authority.lints.reading import is_authority


class OnlyEndEntitiesArePaired:
    """The extension stands in certificates of end entities, and can be read."""

    citation = "RFC 9763 section 4"
    severity = Severity.ERROR

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        try:
            bound = related_hash(draft)
        except MalformedRequest as problem:
            return str(problem)
        except (x509.DuplicateExtension, ValueError):
            return None  # ``fields.ExtensionsReadable`` reports it
        if bound is not None and is_authority(draft):
            return "relatedCertificate stands in a CA certificate"
        return None


class PairingIsNotCritical:
    """Who does not know the extension shall go on without it."""

    citation = "RFC 9763 section 4.1"
    severity = Severity.WARNING

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """See `Lint`."""
        try:
            found = list(draft.extensions)
        except (x509.DuplicateExtension, ValueError):
            return None  # ``fields.ExtensionsReadable`` reports it
        if any(one.oid == RELATED_CERTIFICATE and one.critical for one in found):
            return "relatedCertificate should not be critical"
        return None


LINTS: tuple[Lint, ...] = (OnlyEndEntitiesArePaired(), PairingIsNotCritical())
