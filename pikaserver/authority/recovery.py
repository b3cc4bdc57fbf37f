"""What a stopped process, or a clock that was wrong, left behind."""

from datetime import datetime

from pikaserver.api.storage import Database
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.issuance import SERIAL_OCTETS
from pikaserver.storage import certificates as storage
from pikaserver.storage import clock, crls, requests


def resolve_intents(database: Database, audit: AuditTrail, node: int) -> int:
    """Close this node's intents whose certificate never came, and return how many there were.

    Nothing of them left the process, because a certificate is stored before it is handed
    out.  Their serials stay reserved, and stay revocable.  Approvals that were being used
    can be used again.
    """
    with database.transaction() as connection:
        intents = [one for one in storage.open_intents(connection) if node_of(one.serial) == node]
        for intent in intents:
            storage.abandon(connection, intent.id)
            audit.record(
                connection,
                "certificate.abandoned",
                "recovery",
                certificate=intent.id,
                serial=write_serial(intent.serial),
                why="the process ended before the certificate was stored",
            )
        requests.unclaim_unfinished(connection)
    return len(intents)


def node_of(serial: int) -> int:
    """Return the node that gave out a serial: its first octet (see `Issuance.next_serial`)."""
    return serial >> (8 * (SERIAL_OCTETS - 1))


def accept_clock(database: Database, audit: AuditTrail, now: datetime, actor: str) -> int:
    """Go on from this time, though a later one was seen, and return how many CRLs that costs.

    A clock had run ahead and was put right.  CRLs that were signed meanwhile begin in a time
    to come: no verifier takes them, so they are withdrawn and others are due at once.
    """
    with database.transaction() as connection:
        before = clock.seen(connection)
        clock.reset(connection, now)
        withdrawn = crls.withdraw_after(connection, now)
        audit.record(
            connection,
            "clock.accepted",
            actor,
            before=before.isoformat() if before else None,
            crls_withdrawn=withdrawn,
        )
    return withdrawn
