"""Certificates of authorities that come from elsewhere: is this a CA, and does the path hold?"""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.certificate import is_signed_by

Kind = TypeVar("Kind", bound=x509.ExtensionType)


def order_chain(
    certificate: x509.Certificate, others: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return the certificates above ``certificate``, from its issuer to the root.

    Raises:
        RequestRejected: the path does not reach a self-signed certificate.
    """
    chain: list[x509.Certificate] = []
    current = certificate
    while not is_self_signed(current):
        above = next((other for other in others if is_signed_by(current, other)), None)
        if above is None or above in chain:
            raise RequestRejected(
                f"the certificate of the issuer {current.issuer.rfc4514_string()!r} is missing"
            )
        chain.append(above)
        current = above
    return tuple(chain)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is signed by its own key."""
    return certificate.issuer == certificate.subject and is_signed_by(certificate, certificate)


def check_path(
    certificate: x509.Certificate, chain: Sequence[x509.Certificate], now: datetime
) -> None:
    """Check that this may be an authority's certificate (RFC 5280 section 6.1.4).

    Raises:
        RequestRejected: it is no CA certificate, not valid now, or the path length forbids it.
    """
    for depth, one in enumerate((certificate, *chain)):
        who = one.subject.rfc4514_string()
        constraints = _extension(one, x509.BasicConstraints)
        if constraints is None or not constraints.ca:
            raise RequestRejected(f"the certificate of {who!r} is not one of a CA")
        usage = _extension(one, x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            raise RequestRejected(f"the key of {who!r} may not sign certificates")
        # ``depth`` counts the CA certificates below this one; a leaf does not count.
        if constraints.path_length is not None and constraints.path_length < depth:
            raise RequestRejected(f"the path below {who!r} is longer than it allows")
        if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            raise RequestRejected(f"the certificate of {who!r} is not valid now")


def _extension(certificate: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
