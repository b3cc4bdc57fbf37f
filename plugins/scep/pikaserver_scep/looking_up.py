"""GetCert and GetCRL: certificates and CRLs of an authority for those who ask in SCEP's way."""

from functools import partial

from cryptography import x509

from pikaserver.api.certificates import (
    CertificateQuery,
    CertificateRecord,
    CertificateStatus,
    Generation,
)
from pikaserver.api.errors import NotAuthenticated, NotFound, RequestRejected
from pikaserver.api.server import Server
from pikaserver.asn1.certificate import subject_of
from pikaserver.asn1.enveloped_data import open_
from pikaserver_scep.asking import DOOR, Asked
from pikaserver_scep.messages import read_issuer_and_serial

LARGEST_CRL = 4 * 1024 * 1024
"""A larger one is fetched from its URL: here it would have to be encrypted in memory."""


class LookingUp:
    """Finds what clients name by issuer and serial number."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def certificate(self, asked: Asked) -> bytes:
        """Answer GetCert (section 3.3.4), to whoever has a valid certificate of ours.

        Raises:
            NotAuthenticated: the signer has none.
            NotFound: no such certificate.
        """
        signer = self._signer(asked)
        record = self._find(asked)
        if record is None or record.certificate is None:
            raise NotFound("there is no such certificate")
        self._server.devices.met(signer, DOOR)
        return record.certificate

    def crl(self, asked: Asked) -> bytes:
        """Answer GetCRL (section 3.3.5); CRLs are public, so whoever can sign may ask.

        Raises:
            NotFound: none was signed yet.
            RequestRejected: it is too large for an envelope.
        """
        record = self._find(asked)
        number = record.generation if record else asked.registrar.generation.number
        crl = self._server.crls.latest(asked.template.authority, number)
        if crl.content.size > LARGEST_CRL:
            raise RequestRejected("the CRL is too large: fetch it from its URL")
        return crl.crl

    def _find(self, asked: Asked) -> CertificateRecord | None:
        name = asked.template.authority
        issuers = {_name(one) for one in self._server.authorities.get(name).generations}
        read = partial(read_issuer_and_serial, issuers=issuers)
        serial = open_(asked.envelope, asked.registrar.keys, self._server.entropy, read)
        query = CertificateQuery(authority=name, serial=serial, limit=1)
        return next(iter(self._server.certificates.find(query)), None)

    def _signer(self, asked: Asked) -> CertificateRecord:
        try:
            record = self._server.certificates.by_certificate(asked.message.certificate)
        except NotFound:
            record = None
        if record is None or record.status is not CertificateStatus.VALID:
            raise NotAuthenticated("GetCert is signed with a valid certificate of this authority")
        return record


def _name(generation: Generation) -> bytes:
    return subject_of(x509.load_der_x509_certificate(generation.certificate))
