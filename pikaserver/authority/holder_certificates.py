"""Certificates of ours that a request names: found, and held against what became of them."""

from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.asn1.certificate import issuer_and_serial, read_certificate
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.authorities import AuthorityDirectory
from pikaserver.storage.certificates import CertificateStore


@dataclass(frozen=True, slots=True)
class HolderCertificates:
    """Looks nothing up but in our own storage: what others issued is not known here."""

    certificates: CertificateStore
    authorities: AuthorityDirectory
    clock: Clock

    def named(self, name: bytes, serial: int) -> CertificateRecord:
        """Return the certificate of an IssuerAndSerialNumber.

        Raises:
            NotFound: it was not issued here.
        """
        if serial > 0:
            for record in self.certificates.find(CertificateQuery(serial=serial)):
                if record.certificate and issuer_and_serial(record.certificate) == name:
                    return record
        raise NotFound("the certificate that the request names was not issued here")

    def check(self, record: CertificateRecord) -> x509.Certificate:
        """Return the certificate of an end entity whose path is valid now (RFC 5280 section 6).

        Its signature and that of those above were verified when they were made.

        Raises:
            RequestRejected: it is not valid, or not an end entity's.
        """
        if record.status is not CertificateStatus.VALID or record.certificate is None:
            raise RequestRejected(f"the certificate that the request names is {record.status}")
        issuer = self.authorities.key(record.authority, record.generation)
        now = self.clock()
        path = (issuer.certificate, *issuer.chain)
        if issuer.revoked or any(one.not_valid_after_utc <= now for one in path):
            raise RequestRejected(
                "a certificate above the one that the request names is revoked or expired"
            )
        certificate = read_certificate(record.certificate)
        if record.template is None or _is_authority(certificate):
            raise RequestRejected("the certificate that the request names is an authority's")
        return certificate


def same_holder(
    certificate: x509.Certificate, subject: x509.Name, names: tuple[x509.GeneralName, ...]
) -> bool:
    """Tell whether subject and alternative names are those of a certificate."""
    return certificate.subject == subject and same_names(names_of(certificate), names)


def same_names(one: tuple[x509.GeneralName, ...], other: tuple[x509.GeneralName, ...]) -> bool:
    """Tell whether these are the same alternative names, in any order and any case."""
    return _texts(one) == _texts(other)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def names_of(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    """Return the alternative names of a certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value)


def _texts(names: tuple[x509.GeneralName, ...]) -> frozenset[str]:
    return frozenset(general_name_text(name).lower() for name in names)
