"""Certificates that have to be renewed before their time, and their windows as records."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.renewal_windows import write_identifier
from pikaserver.cli.cert.found import query
from pikaserver.cli.cert.search import SearchOptions
from pikaserver.cli.output import Record
from pikaserver.server import PkiServer


@dataclass(frozen=True, slots=True)
class Order:
    """By when, and why."""

    within: timedelta
    why: str


def valid_ones(server: PkiServer, search: SearchOptions) -> Sequence[CertificateRecord]:
    """Return all valid certificates that the options find, page by page."""
    asked = replace(query(search, server.clock()), status=CertificateStatus.VALID)
    found: list[CertificateRecord] = []
    while page := server.certificates.find(asked):
        found += page
        asked = replace(asked, after=page[-1].id)
    return found


def ordered(
    server: PkiServer, found: Sequence[CertificateRecord], order: Order, actor: str
) -> list[Record]:
    """Order certificates to be renewed, and return their windows."""
    for record in found:
        server.renewals.order(record, order.within, order.why, actor)
    return [renewal_row(server, record) for record in found]


def withdrawn(server: PkiServer, found: Sequence[CertificateRecord], actor: str) -> list[Record]:
    """Take orders back, and return the windows of those that had one."""
    rows: list[Record] = []
    for record in found:
        try:
            server.renewals.withdraw(record, actor)
        except NotFound:
            continue
        rows.append(renewal_row(server, record))
    return rows


def renewal_row(server: PkiServer, record: CertificateRecord) -> Record:
    """Return the window of a certificate, and the name by which clients ask for it."""
    window = server.renewals.window(record)
    return {
        "serial": write_serial(record.serial),
        "subject": record.subject,
        "names": record.names,
        "not_after": record.not_after,
        "start": window.start,
        "end": window.end,
        "why": window.why,
        "identifier": record.certificate and write_identifier(record.certificate),
    }
