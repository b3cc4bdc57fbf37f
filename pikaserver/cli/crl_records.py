"""How CRLs look as records."""

from collections.abc import Sequence
from datetime import datetime

import click
from cryptography import x509

from pikaserver.api.crls import CrlRecord, CrlSummary
from pikaserver.api.errors import SignatureFaulty
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.crl_reading import read_crl
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.naming.subject_text import write_subject
from pikaserver.cli.output import Record
from pikaserver.cli.records import pem_text


def crl_row(crl: CrlSummary, now: datetime) -> Record:
    """Return the columns of a list."""
    return {
        "authority": crl.authority,
        "generation": crl.generation,
        "scope": crl.scope,
        "number": crl.number,
        "state": "fresh" if now <= crl.next_update else "stale",
        "this_update": crl.this_update,
        "next_update": crl.next_update,
        "entries": crl.entries,
    }


def crl_details(record: CrlRecord, now: datetime) -> Record:
    """Return a CRL without its entries."""
    issuer = x509.load_der_x509_crl(record.crl).issuer
    base = record.summary.base_number
    return {**crl_row(record.summary, now), "base_number": base, "issuer": write_subject(issuer)}


def crl_entries(record: CrlRecord) -> list[Record]:
    """Return what a CRL lists, a row for each certificate."""
    return [
        {
            "serial": write_serial(entry.serial_number),
            "revoked_at": entry.revocation_date_utc,
            "reason": _reason(entry),
            "invalid_since": _invalid_since(entry),
        }
        for entry in x509.load_der_x509_crl(record.crl)
    ]


def verified_row(
    octets: bytes, issuers: Sequence[x509.Certificate], now: datetime
) -> dict[str, object]:
    """Return what a verified CRL says.

    Raises:
        MalformedRequest: it cannot be read.
        SignatureFaulty: it is by none of these issuers.
    """
    found = read_crl(octets)
    same = [one for one in issuers if one.subject == found.issuer]
    if not same:
        raise SignatureFaulty(f"no certificate of {write_subject(found.issuer)!r} is known here")
    for position, issuer in enumerate(same, 1):
        try:
            found.verify(public_key_of(issuer))
            break
        except SignatureFaulty:
            if position == len(same):
                raise
    return {
        "issuer": write_subject(found.issuer),
        "number": found.number,
        "base_number": found.base_number,
        "state": "fresh" if now <= found.next_update else "stale",
        "this_update": found.this_update,
        "next_update": found.next_update,
        "entries": len(found.loaded),
    }


def told(key: IssuingKey, scope: str, entries: int) -> None:
    """Show on standard error how far a long CRL is."""
    click.echo(f"  {key.authority}.g{key.generation.number} {scope}: {entries} entries", err=True)


def crl_pem(record: CrlRecord) -> str:
    """Return a CRL in PEM."""
    return pem_text("X509 CRL", record.crl)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return "unspecified"
    return str(reason.value)


def _invalid_since(entry: x509.RevokedCertificate) -> datetime | None:
    try:
        return entry.extensions.get_extension_for_class(
            x509.InvalidityDate
        ).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return None
