"""Transactions: who asked what by which message, and what is kept of it.

Clients choose transactionIDs, most of them a hash of their key.  So one means something only
together with the key that signs; another client may use the same and notices nothing.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from pikaserver.api.issuance import CertificationRequest, Issued, Pending, Requester
from pikaserver.api.server import Server
from pikaserver.asn1.csr import read_csr
from pikaserver_scep import storage
from pikaserver_scep.messages import Message
from pikaserver_scep.settings import ScepSettings
from pikaserver_scep.storage import Served

PURPOSE = "scep.request"
"""For which requests that wait are sealed: their challenge passwords are secrets."""


HASH_PURPOSE = "scep.request-hash"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One request in one message; all are SHA-256.

    ``message_hash`` covers the signed attributes, not the signature: ECDSA has two for each.
    """

    message_hash: bytes
    requester_hash: bytes
    request_hash: bytes

    @property
    def name(self) -> str:
        """What the host calls it: the same request in another message is the same deed."""
        return hashlib.sha256(self.requester_hash + self.request_hash).hexdigest()

    @property
    def further_name(self) -> str:
        """What the host calls it when the same was asked before and is over."""
        return self.message_hash.hex()


def requester_hash(template: str, message: Message) -> bytes:
    """Return what a transactionID means: for this template, by this key."""
    return _hash(template.encode(), message.public_key, message.header.transaction.encode())


def _hash(*parts: bytes) -> bytes:
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.digest()


class Transactions:
    """Keeps messages as long as they may come again, and requests as long as they wait."""

    def __init__(self, server: Server, settings: ScepSettings) -> None:
        self._server = server
        self._patience = timedelta(days=settings.pending_days)
        self._memory = timedelta(days=settings.remember_days)

    def of(self, template: str, message: Message, csr: CertificationRequest) -> Transaction:
        """Return the transaction of a request.

        The hash of the request has a key: without it, a challenge password could be guessed
        from what is stored.
        """
        return Transaction(
            message_hash=_hash(template.encode(), message.public_key, message.attributes),
            requester_hash=requester_hash(template, message),
            request_hash=hmac.digest(self._hash_key, csr.tbs, "sha256"),
        )

    @cached_property
    def _hash_key(self) -> bytes:
        with self._server.database.reading() as connection:
            sealed = storage.sealed_hash_key(connection)
        if sealed is None:
            fresh = self._server.secrets.seal(HASH_PURPOSE, self._server.entropy(32))
            with self._server.database.transaction() as connection:
                sealed = storage.sealed_hash_key(connection, fresh) or fresh
        return self._server.secrets.open(HASH_PURPOSE, sealed)

    def find(self, transaction: Transaction) -> Served | None:
        """Return this very message, or else the newest that asked the same."""
        with self._server.database.reading() as connection:
            found = storage.find(
                connection,
                transaction.message_hash,
                transaction.requester_hash,
                transaction.request_hash,
            )
        return self._current(found)

    def newest(self, requester: bytes) -> Served | None:
        """Return what a requester asked last in a transaction."""
        with self._server.database.reading() as connection:
            return self._current(storage.newest(connection, requester))

    def request(self, served: Served) -> CertificationRequest | None:
        """Return the request of a message that waits, with its password."""
        if served.sealed is None:
            return None
        return read_csr(self._server.secrets.open(PURPOSE, served.sealed))

    def postpone(
        self, transaction: Transaction, csr: CertificationRequest, requester: Requester | None
    ) -> None:
        """Keep a request on which nobody can decide now."""
        self._insert(transaction, csr, requester, None, None)

    def wait(
        self,
        transaction: Transaction,
        csr: CertificationRequest,
        requester: Requester,
        outcome: Pending,
    ) -> None:
        """Keep a request on which a person decides."""
        self._insert(transaction, csr, requester, outcome.request_id, None)

    def issue(
        self,
        transaction: Transaction,
        requester: Requester,
        outcome: Issued,
    ) -> None:
        """Keep what came of a message."""
        self._insert(transaction, None, requester, None, outcome.record.id)

    def repeat(self, transaction: Transaction, served: Served) -> None:
        """Note that another message asked the same, so that it is known again, too."""
        if transaction.message_hash == served.message_hash:
            return
        requester = Requester(served.requester, served.method)
        self._insert(transaction, None, requester, None, served.certificate_id)

    def go_on(self, served: Served, requester: Requester, outcome: Issued | Pending) -> None:
        """Note what came of a message that waited."""
        with self._server.database.transaction() as connection:
            if isinstance(outcome, Pending):
                storage.waits(connection, served.id, outcome.request_id, requester)
            else:
                storage.issued(connection, served.id, outcome.record.id)

    def found(self, served: Served, certificate_id: int) -> None:
        """Note the certificate that a person's decision led to."""
        with self._server.database.transaction() as connection:
            storage.issued(connection, served.id, certificate_id)

    def unseal(self, served: Served) -> None:
        """Forget a request that nobody needs any more."""
        if served.sealed is not None:
            with self._server.database.transaction() as connection:
                storage.unseal(connection, served.id)

    def forget_old(self) -> None:
        """Forget what is over; a job."""
        with self._server.database.transaction() as connection:
            storage.forget_old(connection, self._server.clock())

    def _current(self, found: Served | None) -> Served | None:
        return None if found is None or found.expires_at < self._server.clock() else found

    def _insert(
        self,
        transaction: Transaction,
        csr: CertificationRequest | None,
        requester: Requester | None,
        request_id: int | None,
        certificate_id: int | None,
    ) -> None:
        shown = requester.certificate if requester else None
        kept = self._memory if certificate_id is not None else self._patience
        served = Served(
            id=0,
            message_hash=transaction.message_hash,
            requester_hash=transaction.requester_hash,
            request_hash=transaction.request_hash,
            method=requester.method if requester else "",
            requester=requester.name if requester else "",
            request_id=request_id,
            certificate_id=certificate_id,
            renews_id=shown.id if shown else None,
            sealed=self._server.secrets.seal(PURPOSE, csr.der) if csr else None,
            expires_at=self._server.clock() + kept,
        )
        with self._server.database.transaction() as connection:
            storage.insert_message(connection, served)
