"""Drafts whose signature comes later: found again, so that the same octets are signed."""

from collections.abc import Iterator

from cryptography import x509
from sqlalchemy import Connection

from pikaserver.asn1.certificate import with_dummy_signature
from pikaserver.storage import certificates as storage
from pikaserver.storage.certificates import Intent, NewCertificate


def find_awaiting(
    connection: Connection, new: NewCertificate, algorithm: str
) -> tuple[Intent | None, list[Intent]]:
    """Return the draft that awaits its signature and says the same as a new one.

    Approvals hold for octets, so the serial and the times of the older draft stay.

    Returns:
        That draft, if any, and those over the same key that say something else: whoever
        asked for them has changed the wish.
    """
    same, others = None, []
    wish = list(_wish(new.tbs, algorithm))
    for intent in storage.awaiting(connection, new):
        if same is None and _fits(list(_wish(intent.tbs, algorithm)), wish):
            same = intent
        else:
            others.append(intent)
    return same, others


def _wish(tbs: bytes, algorithm: str) -> Iterator[object]:
    """Yield what a draft says, first how long it holds and when it ends."""
    draft = with_dummy_signature(tbs, algorithm)
    yield draft.not_valid_after_utc - draft.not_valid_before_utc
    yield draft.not_valid_after_utc
    yield draft.issuer
    yield draft.subject
    for extension in draft.extensions:
        yield extension.oid, extension.critical, _octets(extension.value)


def _octets(value: x509.ExtensionType) -> bytes:
    return value.public_bytes()


def _fits(one: list[object], other: list[object]) -> bool:
    # The lifetime was asked for, or the end was given by the issuer's.
    return one[2:] == other[2:] and (one[0] == other[0] or one[1] == other[1])
