"""How certificates and requests look as records: a few columns for a table, all for programs."""

from collections.abc import Iterable

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import Decision
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.pem import write_pem
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.naming.subject_text import write_subject
from pikaserver.cli.cert.extension_text import extension_texts
from pikaserver.cli.output import Record


def certificate_row(record: CertificateRecord) -> Record:
    """Return the columns of a list."""
    return {
        "serial": write_serial(record.serial),
        "status": record.status,
        "subject": record.subject,
        "names": record.names,
        "template": record.template,
        "authority": record.authority,
        "not_after": record.not_after,
    }


def status_row(record: CertificateRecord) -> Record:
    """Return what a change of its status left."""
    revocation = record.revocation
    return {
        "serial": write_serial(record.serial),
        "status": record.status,
        "revoked_at": revocation and revocation.at,
        "reason": revocation and revocation.reason.rfc_name,
        "invalidity_at": revocation and revocation.invalidity_at,
        "subject": record.subject,
        "names": record.names,
        "authority": record.authority,
    }


def certificate_details(record: CertificateRecord) -> Record:
    """Return all that is known of a certificate but what it says itself."""
    return {
        "id": record.id,
        **status_row(record),
        "not_before": record.not_before,
        "not_after": record.not_after,
        "generation": record.generation,
        "template": record.template,
        "template_version": record.template_version or None,
        "door": record.door,
        "requester": record.requester,
        "issued_at": record.issued_at,
        "fingerprint": record.fingerprint,
    }


def certificate_content(certificate: x509.Certificate) -> Record:
    """Return what a certificate says itself."""
    return {
        "subject": write_subject(certificate.subject),
        "issuer": write_subject(certificate.issuer),
        "not_before": certificate.not_valid_before_utc,
        "not_after": certificate.not_valid_after_utc,
        "key_type": key_type(public_key_of(certificate)),
        **extension_texts(certificate.extensions),
    }


def trace_rows(trace: Iterable[Decision]) -> list[Record]:
    """Return a decision trace, a row for every rule that was asked."""
    return [
        {
            "rule": decision.rule,
            "answer": "yes" if decision.allowed else "no",
            "asked": decision.asked,
            "why": decision.why,
        }
        for decision in trace
    ]


def pem_text(label: str, der: bytes) -> str:
    """Return one PEM block as text."""
    return write_pem(label, der).decode("ascii")


def certificate_pem(certificates: Iterable[bytes]) -> list[str]:
    """Return certificates (DER) as PEM."""
    return [pem_text("CERTIFICATE", certificate) for certificate in certificates]
