"""Stores full of certificates and audit records, written as quickly as the database takes them."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import insert

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1.crl import entry
from pikaserver.server import PkiServer
from pikaserver.storage.tables import certificate, certificate_name

CHUNK = 5000
_OCTETS = bytes(800)


def fill(server: PkiServer, count: int, *, revoked: bool = False) -> None:
    """Store so many certificates of the issuing authority, each with a name and a serial."""
    generation = server.authorities.issuing_key("issuing").generation.id
    template = server.templates.version("device").id
    numbers = iter(range(1, count + 1))
    with server.database.transaction() as connection:
        while rows := list(_rows(server, numbers, generation, template, revoked=revoked)):
            connection.execute(insert(certificate), rows)
            names = [
                {"certificate_id": row["id"], "position": 0, "name": f"dns:{row['subject']}.test"}
                for row in rows
            ]
            connection.execute(insert(certificate_name), names)


def _rows(
    server: PkiServer, numbers: Iterator[int], generation: int, template: int, *, revoked: bool
) -> Iterator[dict[str, object]]:
    now = server.clock()
    for _, number in zip(range(CHUNK), numbers, strict=False):
        serial, name = server.issuance.next_serial(), f"filled-{number}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        row: dict[str, object] = {
            "id": 1_000_000 + number,
            "generation_id": generation,
            "serial": f"{serial:036x}",
            "state": "issued",
            "tbs_hash": bytes(32),
            "certificate": _OCTETS,
            "fingerprint": digest,
            "key_hash": digest,
            "subject": name,
            "subject_folded": name,
            "not_before": now,
            "not_after": now + timedelta(days=365, seconds=number),
            "template_id": template,
            "template_version": 1,
            "door": "est",
            "requester": "code:filled",
            "issued_at": now,
        }
        if revoked:
            row["revoked_at"] = now
            row["revocation_reason"] = RevocationReason.SUPERSEDED.value
            row["crl_entry"] = entry(serial, now, RevocationReason.SUPERSEDED)
        yield row


def fill_trail(server: PkiServer, count: int) -> None:
    """Append so many audit records, with the fields of an issuance."""
    with server.database.transaction() as connection:
        for number in range(count):
            server.audit.record(
                connection,
                "certificate.issued",
                "code:filled",
                certificate=number,
                serial=f"{number:036x}",
            )
