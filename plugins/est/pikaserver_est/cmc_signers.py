"""Who signed a full request: the holder of a certificate of ours, or of the new key alone."""

from collections.abc import Sequence

import falcon

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import MalformedRequest, NotAuthenticated, NotFound, SignatureFaulty
from pikaserver.api.issuance import CertificationRequest, Requester
from pikaserver.api.server import Server
from pikaserver.api.web import client_connection
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.signed_data_reading import ReadSignedData

_NAME_LIMIT = 300


class SignatureRefused(MalformedRequest):
    """The signature over a message does not hold, or is nobody's."""


def requester_of(
    server: Server,
    request: falcon.Request,
    signed: ReadSignedData,
    csrs: Sequence[CertificationRequest],
) -> Requester:
    """Return who asks, after checking the signature over the message.

    A certificate of ours speaks for its holder.  A message that is signed by the key for which
    it asks says nothing of the sender: then the line has to, by a code or a certificate.

    Raises:
        SignatureRefused: the signature does not hold, or is of nobody that is known.
        NotAuthenticated: the certificate is not valid any more, or the line says nothing.
    """
    shown = _shown(request)
    for certificate in (*signed.certificates, *shown):
        record = _ours(server, certificate) if signed.names(certificate) else None
        if record is not None:
            _verify(signed, public_key_of(read_certificate(certificate)))
            return _holder(record, server, client_connection(request).address)
    for spki in _own_keys(signed, csrs):
        _verify(signed, spki)
        return server.authenticate(request, ("code", "certificate"))
    raise SignatureRefused("the message is signed by nobody that is known here")


def _holder(record: CertificateRecord, server: Server, address: str) -> Requester:
    now = server.clock()
    if record.status is not CertificateStatus.VALID or now < record.not_before:
        raise NotAuthenticated(f"the certificate that signed the message is {record.status}")
    return Requester(
        name=f"certificate:{record.subject}"[:_NAME_LIMIT],
        method="certificate",
        address=address,
        certificate=record,
    )


def _own_keys(signed: ReadSignedData, csrs: Sequence[CertificationRequest]) -> list[bytes]:
    """Return the requested keys by which the signer is named, alone or in a certificate."""
    signers = {
        public_key_of(read_certificate(one)) for one in signed.certificates if signed.names(one)
    }
    return [
        csr.public_key
        for csr in csrs
        if csr.public_key in signers or signed.names_key(csr.public_key)
    ]


def _verify(signed: ReadSignedData, spki: bytes) -> None:
    try:
        signed.verify_by(spki)
    except SignatureFaulty as error:
        raise SignatureRefused(str(error)) from None


def _ours(server: Server, certificate: bytes) -> CertificateRecord | None:
    try:
        return server.certificates.by_certificate(certificate)
    except NotFound:
        return None


def _shown(request: falcon.Request) -> tuple[bytes, ...]:
    tls = client_connection(request).tls
    return () if tls is None or tls.certificate is None else (tls.certificate,)
