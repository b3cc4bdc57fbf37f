"""The octets that go to a target: CRLs in DER or PEM, certificates as their names end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pikaserver.api.certificates import Generation
from pikaserver.api.crls import CrlRecord
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.der import pem_pieces, pem_size, write_pem

CRL_LABEL = "X509 CRL"
CERTIFICATE_LABEL = "CERTIFICATE"
PEM = "application/x-pem-file"


@dataclass(frozen=True, slots=True)
class Content:
    """Octets that may be too many for memory; ``pieces`` yields them as often as it is called."""

    size: int
    pieces: Callable[[], Iterator[bytes]]
    content_type: str

    def octets(self) -> bytes:
        """Return all of them at once."""
        return b"".join(self.pieces())


def crl_content(crl: CrlRecord, form: str) -> Content:
    """Return a CRL in DER, or in PEM."""
    content = crl.content
    if form == "pem":
        return Content(pem_size(CRL_LABEL, content.size), partial(_pem_of, crl), content_type=PEM)
    return Content(content.size, content.pieces, "application/pkix-crl")


def certificate_content(generation: Generation, name: str) -> Content:
    """Return an authority's certificate as the ending of its name says.

    ``.pem`` is text, ``.chain.pem`` has all above it too, ``.p7c`` all certificates of the
    key; everything else is DER, as caIssuers wants it (RFC 5280 section 4.2.2.1).
    """
    if name.endswith(".p7c"):
        octets = certificates_only([generation.certificate, *generation.others])
        return _whole(octets, "application/pkcs7-mime; smime-type=certs-only")
    if name.endswith(".chain.pem"):
        return _whole(_texts(generation.certificate, *generation.chain), PEM)
    if name.endswith(".pem"):
        return _whole(_texts(generation.certificate), PEM)
    return _whole(generation.certificate, "application/pkix-cert")


def _pem_of(crl: CrlRecord) -> Iterator[bytes]:
    return pem_pieces(CRL_LABEL, crl.content.pieces())


def _texts(*certificates: bytes) -> bytes:
    return b"".join(write_pem(CERTIFICATE_LABEL, der) for der in certificates)


def _whole(octets: bytes, content_type: str) -> Content:
    return Content(len(octets), lambda: iter([octets]), content_type)
