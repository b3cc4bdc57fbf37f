"""How CRLs look as records."""

from datetime import datetime

from cryptography import x509

from pikaserver.api.certificates import CrlRecord, CrlSummary
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.naming.subject_text import write_subject
from pikaserver.cli.output import Record
from pikaserver.cli.records import pem_text


def crl_row(crl: CrlRecord | CrlSummary, now: datetime) -> Record:
    """Return the columns of a list."""
    return {
        "authority": crl.authority,
        "generation": crl.generation,
        "number": crl.number,
        "state": "fresh" if now <= crl.next_update else "stale",
        "this_update": crl.this_update,
        "next_update": crl.next_update,
        "entries": crl.entries,
    }


def crl_details(record: CrlRecord, now: datetime) -> Record:
    """Return a CRL without its entries."""
    issuer = x509.load_der_x509_crl(record.crl).issuer
    return {**crl_row(record, now), "issuer": write_subject(issuer)}


def crl_entries(record: CrlRecord) -> list[Record]:
    """Return what a CRL lists, a row for each certificate."""
    return [
        {
            "serial": write_serial(entry.serial_number),
            "revoked_at": entry.revocation_date_utc,
            "reason": _reason(entry),
        }
        for entry in x509.load_der_x509_crl(record.crl)
    ]


def crl_pem(record: CrlRecord) -> str:
    """Return a CRL in PEM."""
    return pem_text("X509 CRL", record.crl)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return "unspecified"
    return str(reason.value)
