"""What clients are told of an authority before they ask for anything (RFC 8894 section 4)."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509

from pikaserver.api.certificates import AuthorityRecord
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
    own, above = registrar.certificates, registrar.signer.chain
    certificates = list(_chosen(own, above, include_root=template.scep.include_root))
    if len(certificates) == 1:
        return CA_CERTIFICATE, certificates[0]
    return CA_AND_RA_CERTIFICATES, certificates_only(certificates)


def next_ca_certificates(server: Server, registrars: Registrars, template: Template) -> bytes:
    """Return what GetNextCACert answers (section 4.7): what comes after the key that signs it.

    Where a key is prepared, the present one tells it.  Else who asks may be a client that
    still trusts the key before the present one; that one signs the answer.  The certificates
    stand in the content, as the RFC says, and beside it, where jscep looks for them.

    Raises:
        NotFound: nothing is prepared, and no earlier key is trusted any more.
    """
    name = template.authority
    authority = server.authorities.get(name)
    coming = authority.prepared
    if coming is not None:
        # Its registration authority is certified once it issues, and GetCACert tells it then.
        present, own, above = None, (coming.certificate, *coming.others), coming.chain
    else:
        present, registrar = _before(authority, server.clock()), registrars.current(name)
        own, above = registrar.certificates, registrar.signer.chain
    certificates = tuple(_chosen(own, above, include_root=template.scep.include_root))
    key = server.services.authority_key(name, present)
    return signed_message(certificates_only(certificates), key, certificates=certificates)


def _before(authority: AuthorityRecord, now: datetime) -> int:
    """Return the newest key before the present one whose certificate is not over."""
    earlier = [
        one.number
        for one in authority.generations
        if not (one.current or one.prepared) and _ends(one.certificate) > now
    ]
    if not earlier:
        raise NotFound(f"the authority {authority.name!r} has no next certificate")
    return max(earlier)


def _chosen(own: Iterable[bytes], above: Iterable[bytes], *, include_root: bool) -> Iterator[bytes]:
    """Yield what clients need, and those above it."""
    yield from own
    for certificate in above:
        if include_root or not _is_root(certificate):
            yield certificate


def _is_root(certificate: bytes) -> bool:
    loaded = x509.load_der_x509_certificate(certificate)
    return loaded.subject == loaded.issuer


def _ends(certificate: bytes) -> datetime:
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
