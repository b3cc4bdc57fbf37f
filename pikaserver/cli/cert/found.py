"""Certificates found: by an operator's options, by serial, with their chain."""

from collections.abc import Sequence
from datetime import datetime

import click

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound
from pikaserver.api.issuance import Issued
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.serials import write_serial
from pikaserver.cli.cert.search import SearchOptions
from pikaserver.server import PkiServer


def query(search: SearchOptions, now: datetime) -> CertificateQuery:
    """Return what the options ask the database."""
    after, before = search.expires_after, search.expires_before
    if search.expires_within is not None:
        after, before = now, now + search.expires_within
    fingerprint = search.fingerprint and search.fingerprint.replace(":", "").lower()
    return CertificateQuery(
        authority=search.authority,
        serial=search.serial,
        subject=search.subject,
        name=search.name,
        fingerprint=fingerprint,
        template=search.template,
        status=CertificateStatus(search.status) if search.status else None,
        expires_after=after,
        expires_before=before,
        after=search.after,
        limit=search.limit,
    )


def one_certificate(server: PkiServer, serial: int, authority: str | None) -> CertificateRecord:
    """Return the one certificate with this serial.

    Raises:
        NotFound: there is none.
        click.UsageError: several authorities used the serial.
    """
    found = server.certificates.find(CertificateQuery(serial=serial, authority=authority))
    if not found:
        where = f" of authority {authority!r}" if authority else ""
        raise NotFound(f"there is no certificate{where} with the serial {write_serial(serial)}")
    if len(found) > 1:
        names = ", ".join(dict.fromkeys(one.authority for one in found))
        raise click.UsageError(
            f"several certificates have the serial {write_serial(serial)}: "
            f"add --authority, one of {names}"
        )
    return found[0]


def served_chain(issued: Issued) -> list[bytes]:
    """Return what a TLS server shows: the certificate and those above it but the root.

    Who trusts the root has it; who does not gains nothing by it.
    """
    above = [one for one in issued.chain if one != issued.certificate]
    return [issued.certificate, *(one for one in above if not _is_root(one))]


def whole_chain(issued: Issued) -> Sequence[bytes]:
    """Return the certificate and all above it, up to the root."""
    return [issued.certificate, *(one for one in issued.chain if one != issued.certificate)]


def _is_root(certificate: bytes) -> bool:
    loaded = read_certificate(certificate)
    return loaded.subject == loaded.issuer
