"""What a caller wishes for: read from JSON or from a bare request, and told apart by hashes."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import falcon

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest, Requester
from pikaserver.asn1 import der
from pikaserver.asn1.csr import read_csr, read_csr_text
from pikaserver_rest.bodies import CertificateWish, RenewalWish, read_body
from pikaserver_rest.problems import WrongContentType

BODY_LIMIT_OCTETS = 128 * 1024
"""Two requests in PEM; the largest ones that devices sign (ML-DSA-87) have 14 KiB each."""

JSON = "application/json"
PKCS10 = "application/pkcs10"

_PERIOD = re.compile(r"([0-9]{1,6})([smhdwy])", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_WHITE_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish for a certificate, or for a pair of them."""

    csr: CertificationRequest
    template: str
    paired: CertificationRequest | None = None
    validity: timedelta | None = None
    renews: CertificateRecord | None = None

    def fingerprint(self) -> str:
        """Return what is the same whenever exactly this is wished, SHA-256 in hex."""
        validity = "" if self.validity is None else str(int(self.validity.total_seconds()))
        renewed = "" if self.renews is None else str(self.renews.id)
        return _hash(*self.octets(), renewed.encode(), validity.encode())

    def octets(self) -> tuple[bytes, ...]:
        """Return what is the same for whatever would be the same certificate."""
        paired = b"" if self.paired is None else self.paired.der
        return self.template.encode(), self.csr.der, paired


def credential_of(requester: Requester) -> str:
    """Return what one credential is known by, SHA-256 in hex.

    Of two certificates with one subject each is a credential of its own.
    """
    shown = requester.certificate
    number = b"" if shown is None else str(shown.id).encode()
    return _hash(requester.method.encode(), requester.name.encode(), number)


def transaction_of(requester: Requester, wish: Wish) -> str:
    """Return the transaction under which a wish is known: asked again, it is the same one.

    Whoever shows a certificate renews that one, by whichever path; a registration authority
    says whose it renews.
    """
    shown, renewed = requester.certificate, wish.renews
    of_other = ""
    if renewed is not None and (shown is None or shown.id != renewed.id):
        of_other = str(renewed.id)
    return f"rest:{_hash(credential_of(requester).encode(), *wish.octets(), of_other.encode())}"


def key_name(requester: Requester, key: str) -> str:
    """Return what an idempotency key is kept under: nobody meets somebody else's."""
    return _hash(credential_of(requester).encode(), key.encode())


def read_wish(request: falcon.Request, query: Mapping[str, str]) -> Wish:
    """Return what a request for a certificate wishes, whichever form its body has.

    Raises:
        WrongContentType: it is neither JSON nor a certificate request.
        MalformedRequest: it cannot be read.
    """
    kind = check_type(request, JSON, PKCS10)
    octets = request.bounded_stream.read()
    if kind == JSON:
        if query.keys() & {"template", "validity"}:
            raise MalformedRequest("template and validity stand in the JSON body, not in the query")
        body = read_body(octets, CertificateWish)
        return wish_of(body, body.template)
    if "template" not in query:
        raise MalformedRequest("the parameter template is missing: ?template=NAME")
    validity = read_period(query["validity"]) if "validity" in query else None
    return Wish(read_bare(octets), query["template"], validity=validity)


def read_renewal(request: falcon.Request, renews: CertificateRecord, template: str) -> Wish:
    """Return what a renewal wishes.

    Raises:
        WrongContentType: it is neither JSON nor a certificate request.
        MalformedRequest: it cannot be read.
    """
    kind = check_type(request, JSON, PKCS10)
    octets = request.bounded_stream.read()
    if kind == PKCS10:
        return Wish(read_bare(octets), template, renews=renews)
    return wish_of(read_body(octets, RenewalWish), template, renews)


def check_type(request: falcon.Request, *wanted: str) -> str:
    """Return what the body says it is.

    Raises:
        WrongContentType: something else than is wanted.
    """
    found = (request.content_type or "").partition(";")[0].strip().lower()
    if found not in wanted:
        said = found.encode("ascii", "backslashreplace").decode()[:100]
        raise WrongContentType(" or ".join(wanted), said)
    return found


def read_period(text: str) -> timedelta:
    """Return a duration like ``90d``.

    Raises:
        MalformedRequest: it is none.
    """
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise MalformedRequest("validity is a number and a unit, one of smhdwy: 90d")
    return int(found[1]) * _UNITS[found[2]]


def wish_of(body: RenewalWish, template: str, renews: CertificateRecord | None = None) -> Wish:
    """Return the wish of a checked body.

    Raises:
        MalformedRequest: a request in it cannot be read.
    """
    return Wish(
        csr=_read_text(body.csr, "csr"),
        template=template,
        paired=None if body.paired_csr is None else _read_text(body.paired_csr, "pairedCsr"),
        validity=None if body.validity is None else read_period(body.validity),
        renews=renews,
    )


def _read_text(text: str, what: str) -> CertificationRequest:
    try:
        return _read_request(text.encode("ascii"))
    except (UnicodeEncodeError, MalformedRequest) as error:
        why = str(error) if isinstance(error, MalformedRequest) else "it is not ASCII"
        raise MalformedRequest(f"{what}: {why}") from None


def read_bare(octets: bytes) -> CertificationRequest:
    """Return the request that is a whole body: DER, PEM, or base64 of DER.

    Raises:
        MalformedRequest: it is none.
    """
    if octets[:1] == b"\x30" and not octets.isascii():
        return read_csr(octets)
    return _read_request(octets)


def _read_request(text: bytes) -> CertificationRequest:
    if der.is_pem(text):
        return read_csr_text(text)
    try:
        octets = base64.b64decode(text.translate(None, _WHITE_SPACE), validate=True)
    except binascii.Error:
        raise MalformedRequest("expected a request in PEM, or its DER in base64") from None
    return read_csr(octets)


def _hash(*parts: bytes) -> str:
    """Hash parts so that no two lists of them give the same octets."""
    octets = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hashlib.sha256(octets).hexdigest()
