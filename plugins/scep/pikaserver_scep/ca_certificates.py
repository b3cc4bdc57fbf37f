"""What clients are told of an authority before they ask for anything (RFC 8894 section 4)."""

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1.cms import certificates_only
from pikaserver_scep.messages import signed_message
from pikaserver_scep.registrars import Registrar, Registrars

CA_CERTIFICATE = "application/x-x509-ca-cert"
CA_AND_RA_CERTIFICATES = "application/x-x509-ca-ra-cert"
NEXT_CA_CERTIFICATE = "application/x-x509-next-ca-cert"

_ALWAYS = (
    "AES",
    "POSTPKIOperation",
    "Renewal",
    "SHA-256",
    "SHA-384",  # strongSwan 5.9.8 looks for it where it means another one
    "SHA-512",
    "SCEPStandard",
    "GetNextCACert",
)
_ON_WISH = {"3des": "DES3", "sha1": "SHA-1"}


def capabilities(template: Template) -> str:
    """Return what GetCACaps answers (section 3.5.2)."""
    weak = (word for name, word in _ON_WISH.items() if name in template.scep.compatibility)
    return "".join(f"{word}\n" for word in (*_ALWAYS, *weak))


def ca_certificates(registrar: Registrar, template: Template) -> tuple[str, bytes]:
    """Return content type and octets of GetCACert (section 4.2)."""
    certificates = list(_of(registrar, include_root=template.scep.include_root))
    if len(certificates) == 1:
        return CA_CERTIFICATE, certificates[0]
    return CA_AND_RA_CERTIFICATES, certificates_only(certificates)


def next_ca_certificates(server: Server, registrars: Registrars, template: Template) -> bytes:
    """Return what GetNextCACert answers (section 4.7): what comes after an earlier key.

    A new key signs from its first moment on, so who asks is a client that still trusts the
    one before; that one signs the answer.  The certificates stand in the content, as the RFC
    says, and beside it, where jscep looks for them.

    Raises:
        NotFound: no earlier key is trusted any more, so nothing comes after it.
    """
    name, now = template.authority, server.clock()
    earlier = [
        one
        for one in server.authorities.get(name).generations
        if not one.current and _ends(one.certificate) > now
    ]
    if not earlier:
        raise NotFound(f"the authority {name!r} has no next certificate")
    present = max(earlier, key=lambda one: one.number)
    coming = registrars.current(name)
    certificates = tuple(_of(coming, include_root=template.scep.include_root))
    key = server.services.authority_key(name, present.number)
    return signed_message(certificates_only(certificates), key, certificates=certificates)


def _of(registrar: Registrar, *, include_root: bool) -> Iterator[bytes]:
    """Yield the registration authority's, the authority's, and those above."""
    yield from registrar.certificates
    above = registrar.signer.chain
    for certificate in above:
        if include_root or not _is_root(certificate):
            yield certificate


def _is_root(certificate: bytes) -> bool:
    loaded = x509.load_der_x509_certificate(certificate)
    return loaded.subject == loaded.issuer


def _ends(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
