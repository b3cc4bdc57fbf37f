"""Who asks: signatures of requests (RFC 6960 section 4.1.2), where the settings want them."""

from cryptography import x509

from pikaserver.api.certificates import Certificates, CertificateStatus
from pikaserver.api.errors import (
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    SignatureFaulty,
)
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import public_key_of, read_certificate, subject_of
from pikaserver.asn1.ocsp_requests import OcspRequest, RequestSignature
from pikaserver_ocsp.settings import OcspSettings


class Requestors:
    """Checks who signed a request: the owner of a certificate of ours that is good now."""

    def __init__(self, certificates: Certificates, settings: OcspSettings) -> None:
        self._certificates = certificates
        self._wanted = settings.requestors
        self._authorities = frozenset(settings.requestor_authorities)

    def check(self, request: OcspRequest) -> None:
        """Return when this request may be answered.

        Raises:
            NotAuthenticated: it has to be signed and is not.
            NotAllowed: its signature does not hold, or its signer is none of ours.
        """
        if self._wanted == "ignore":
            return
        if request.signature is None:
            if self._wanted == "demand":
                raise NotAuthenticated("requests have to be signed here")
            return
        try:
            signer = self._signer(request.signature)
        except (MalformedRequest, NotFound, SignatureFaulty) as error:
            raise NotAllowed(f"the signature of the request does not count: {error}") from error
        if request.requestor is not None and request.requestor != subject_of(signer):
            raise NotAllowed("requestorName is not the subject of the signer's certificate")

    def _signer(self, signature: RequestSignature) -> x509.Certificate:
        if not signature.certificates:
            raise NotFound("the signer's certificate is not enclosed")
        octets = signature.certificates[0]
        certificate = read_certificate(octets)
        record = self._certificates.by_certificate(octets)
        if record.status is not CertificateStatus.VALID:
            raise NotAllowed(f"the signer's certificate is {record.status}")
        if self._authorities and record.authority not in self._authorities:
            raise NotAllowed(f"certificates of {record.authority!r} do not count here")
        _check_usage(certificate)
        algorithm = algorithm_of(signature.algorithm)
        verify(public_key_of(certificate), algorithm, signature.signature, signature.tbs)
        return certificate


def _check_usage(certificate: x509.Certificate) -> None:
    """Refuse a key that is not for signatures (RFC 5280 section 4.2.1.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not (usage.digital_signature or usage.content_commitment):
        raise NotAllowed("the signer's certificate is not one for signatures")
