"""A wish goes down the one road, once: keys, repetitions and twins are told apart here."""

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict, MalformedRequest, NotAuthenticated
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
)
from pikaserver.api.server import Server
from pikaserver.asn1.serials import write_serial
from pikaserver_rest import storage
from pikaserver_rest.problems import KeyReused
from pikaserver_rest.wishes import Wish, credential_of, key_name, transaction_of

DOOR = "api"
"""What templates call this door."""

Outcome = tuple[Issued, ...] | Pending
"""One certificate or, of a pair, both; or that a person decides."""

_LONGEST_KEY = 255


def read_key(header: str | None) -> str | None:
    """Return the idempotency key of a request, with or without the quotes that its draft wants.

    Raises:
        MalformedRequest: it is empty, too long, or not printable ASCII.
    """
    if header is None:
        return None
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise MalformedRequest(
            f"Idempotency-Key has 1 to {_LONGEST_KEY} printable ASCII characters"
        )
    return key


def check_key(server: Server, requester: Requester, key: str | None, wish: Wish) -> None:
    """Let a key stand for this wish, for a day.

    Raises:
        KeyReused: it stands for another one.
    """
    if key is None:
        return
    own = wish.fingerprint()
    with server.database.transaction() as connection:
        found = storage.wish_of_key(connection, key_name(requester, key), own, server.clock())
    if found != own:
        raise KeyReused("this Idempotency-Key came with another request in the last 24 hours")


def issue(server: Server, requester: Requester, wish: Wish, model: str | None) -> Outcome:
    """Return what comes of a wish; asked again by the same requester, it is the same.

    Raises:
        Conflict: its certificate was issued, and is not valid any more.
    """
    request = EnrollmentRequest(
        csr=wish.csr,
        requester=requester,
        template=wish.template,
        door=DOOR,
        renews=wish.renews,
        validity=wish.validity,
        transaction=transaction_of(requester, wish),
        model=model,
    )
    outcome = _once_more(server, request, wish.paired)
    if isinstance(outcome, Pending):
        with server.database.transaction() as connection:
            storage.note_requester(connection, outcome.request_id, credential_of(requester))
        return outcome
    for issued in outcome:
        _check_valid(issued.record)
    return outcome


def _once_more(
    server: Server, request: EnrollmentRequest, paired: CertificationRequest | None
) -> Outcome:
    try:
        return _enroll(server, request, paired)
    except (Conflict, NotAuthenticated):
        # The same request at the same moment may have spent the code; then its outcome is there.
        return _enroll(server, request, paired)


def _enroll(
    server: Server, request: EnrollmentRequest, paired: CertificationRequest | None
) -> Outcome:
    if paired is None:
        outcome = server.enroll(request)
        return outcome if isinstance(outcome, Pending) else (outcome,)
    pair = server.pairs.enroll(request, paired)
    return pair if isinstance(pair, Pending) else (pair.first, pair.second)


def _check_valid(record: CertificateRecord) -> None:
    if record.status is not CertificateStatus.VALID:
        raise Conflict(
            f"certificate {write_serial(record.serial).lower()} was issued for this request,"
            f" and is {record.status}: make a new request"
        )
