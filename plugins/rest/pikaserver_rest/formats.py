"""In which form a certificate goes out: by the header Accept, or by ``?format=``."""

from collections.abc import Sequence
from enum import StrEnum

import falcon
from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.certificate import is_signed_by
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.der import write_pem
from pikaserver_rest.problems import NotAcceptable


class Format(StrEnum):
    """What ``?format=`` calls them; ``media_type`` is what Accept does."""

    JSON = "json"
    PEM = "pem"
    DER = "der"
    PKCS7 = "pkcs7"

    @property
    def media_type(self) -> str:
        """The type without its parameters."""
        return _TYPES[self]


_TYPES = {
    Format.JSON: "application/json",
    Format.PEM: "application/pem-certificate-chain",
    Format.DER: "application/pkix-cert",
    Format.PKCS7: "application/pkcs7-mime",
}


def chosen_format(request: falcon.Request, named: str | None) -> Format:
    """Return the form that the caller wants; a name in the query goes before the header.

    Raises:
        MalformedRequest: there is no form of that name.
        NotAcceptable: none of them is what the caller accepts.
    """
    if named is not None:
        if named not in [*Format]:
            raise MalformedRequest(f"format is one of: {', '.join(Format)}")
        return Format(named)
    preferred = request.client_prefers(_TYPES.values())
    if preferred is None:
        raise NotAcceptable(f"what there is: {', '.join(_TYPES.values())}")
    return next(one for one in Format if one.media_type == preferred)


def write_chain(response: falcon.Response, form: Format, chain: Sequence[bytes]) -> None:
    """Answer certificates in one of the forms that are not JSON, the first one alone in DER."""
    response.content_type = form.media_type
    if form is Format.PEM:
        response.data = b"".join(write_pem("CERTIFICATE", one) for one in chain)
    elif form is Format.PKCS7:
        response.content_type = f"{form.media_type}; smime-type=certs-only"
        response.data = certificates_only(chain)
    else:
        response.data = chain[0]


def without_root(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return a chain without the root, which whoever trusts it has (RFC 8446 section 4.4.2)."""
    if len(chain) > 1:
        last = x509.load_der_x509_certificate(chain[-1])
        if last.subject == last.issuer and is_signed_by(last, last):
            return tuple(chain[:-1])
    return tuple(chain)
