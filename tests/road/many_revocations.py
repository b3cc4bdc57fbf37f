"""Databases full of revoked certificates, written as quickly as the database takes them."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import insert, update

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1.crl import entry
from pikaserver.server import PkiServer
from pikaserver.storage.tables import authority_generation, certificate

CHUNK = 5000
FIRST_ID = 1_000_000
_REASONS = (RevocationReason.SUPERSEDED, RevocationReason.UNSPECIFIED)


def revoke_many(server: PkiServer, count: int) -> None:
    """Store so many revoked certificates of the issuing authority, half of them with a reason."""
    generation = server.authorities.issuing_key("issuing").generation.id
    numbers = iter(range(count))
    with server.database.transaction() as connection:
        while rows := list(_rows(server, numbers, generation)):
            connection.execute(insert(certificate), rows)
        counted = authority_generation.c.revocations + count
        own = authority_generation.c.id == generation
        connection.execute(update(authority_generation).where(own).values(revocations=counted))


def _rows(
    server: PkiServer, numbers: Iterator[int], generation: int
) -> Iterator[dict[str, object]]:
    now = server.clock()
    for _, number in zip(range(CHUNK), numbers, strict=False):
        serial, reason = (1 << 140) + number, _REASONS[number % 2]
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        yield {
            "id": FIRST_ID + number,
            "generation_id": generation,
            "serial": f"{serial:036x}",
            "state": "issued",
            "tbs_hash": bytes(32),
            "certificate": bytes(500),
            "fingerprint": digest,
            "key_hash": digest,
            "subject": f"many-{number}",
            "subject_folded": f"many-{number}",
            "not_before": now - timedelta(hours=1),
            "not_after": now + timedelta(days=365),
            "template_version": 1,
            "door": "est",
            "requester": "code:many",
            "issued_at": now - timedelta(hours=1),
            "revoked_at": now,
            "revocation_reason": reason.value,
            "crl_entry": entry(serial, now, reason),
        }
