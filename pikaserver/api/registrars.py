"""Registration authorities: who holds such a certificate may ask on behalf of others."""

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.templates import Template

CMC_RA = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")
"""id-kp-cmcRA (RFC 6402 section 2.10)."""


def may_ask_for_others(certificate: CertificateRecord | None, template: Template) -> bool:
    """Tell whether the holder of a certificate is an RA of a template.

    Both have to say so: the template names the one that the certificate came from, and the
    certificate is made for it (RFC 7030 section 3.7).  Whether it is still valid is asked
    elsewhere.
    """
    if certificate is None or certificate.template not in template.registrars:
        return False
    return certificate.certificate is not None and is_for_ra(certificate.certificate)


def is_for_ra(certificate: bytes) -> bool:
    """Tell whether a certificate (DER) is made for an RA."""
    loaded = x509.load_der_x509_certificate(certificate)
    try:
        purposes = loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return CMC_RA in purposes
