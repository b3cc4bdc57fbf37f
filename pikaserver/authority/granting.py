"""The end of the one road: a draft is issued with all that belongs to it, and found again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from pikaserver.api.certificates import (
    CertificateRecord,
    CertificateStatus,
    Revocation,
    RevocationReason,
)
from pikaserver.api.errors import Conflict, Decision, RequestRejected, Unavailable
from pikaserver.api.issuance import (
    EnrollmentRequest,
    Issued,
    OneTimeProof,
    Pending,
    RequestRecord,
    RequestState,
)
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.api.templates import Template
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.authority.authorities import AuthorityDirectory
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.issuance import Draft, Issuance, Together, no_step
from pikaserver.authority.requests import BEING_SIGNED, key_hash
from pikaserver.authority.revocation import Revocations
from pikaserver.storage import certificates as certificates_storage
from pikaserver.storage import devices

RETRY_AFTER = 60
"""Seconds after which a client may ask again whether somebody approved."""

Note = Callable[[Connection, int], None]
"""What is noted in the transaction of a certificate, whose number it is given."""


def no_note(connection: Connection, certificate_id: int) -> None:
    """Note nothing more."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """What an issuance uses up, and what it brings about in the same transactions.

    ``superseded`` is the certificate that is revoked for the new one.
    """

    proof: OneTimeProof | None = None
    superseded: CertificateRecord | None = None
    note: Note = no_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Granting:
    """Issues drafts that passed every rule; a repeated request gets what was issued."""

    database: Database
    authorities: AuthorityDirectory
    issuance: Issuance
    revocations: Revocations
    clock: Clock

    def grant(self, draft: Draft, trace: DecisionTrace, belongings: Belongings) -> Issued:
        """Issue; who comes second with the same transaction gets what came of the first.

        Raises:
            NotAuthenticated: the proof is spent.
            Unavailable: a key or the database cannot do it now.
        """
        new, proof, old = draft.new, belongings.proof, belongings.superseded
        revoked: list[CertificateRecord] = []

        def with_certificate(connection: Connection, certificate_id: int, _der: bytes) -> None:
            belongings.note(connection, certificate_id)
            if old is not None:
                revocation = Revocation(self.clock(), RevocationReason.SUPERSEDED)
                revoked.append(
                    self.revocations.revoke_in(connection, old, revocation, new.requester)
                )

        together = Together(
            with_intent=proof.spend if proof else no_step,
            undone=proof.restore if proof else no_step,
            with_certificate=with_certificate,
        )
        try:
            record = self.issuance.issue(draft, together)
        except Conflict:
            # The same transaction came twice at the same moment; the first one has issued.
            repeated = self._known(new.door, new.transaction, new.key_hash)
            if repeated is None:
                raise
            return repeated
        for one in revoked:
            self.revocations.announce(one)
        return _issued(record, draft.chain, trace.decisions)

    def is_revoked(self, record: CertificateRecord) -> bool:
        """Tell whether a certificate is revoked by now."""
        with self.database.reading() as connection:
            now = certificates_storage.get(connection, record.id, self.clock())
        return now.status is CertificateStatus.REVOKED

    def withdraw(self, issued: Issued) -> None:
        """Revoke what was issued for nothing, unless somebody was faster."""
        revocation = Revocation(self.clock(), RevocationReason.SUPERSEDED)
        with suppress(Conflict):
            self.revocations.revoke(issued.record, revocation, issued.record.requester)

    def check(self, draft: Draft) -> None:
        """Return when this draft could be signed now: its key is there, its device not retired.

        Raises:
            KeyUnavailable: the key cannot sign now.
            RequestRejected: the device that asks was retired.
        """
        self.issuance.signers.open(draft.key, draft.algorithm)
        if draft.new.device is not None:
            with self.database.reading() as connection:
                devices.check(connection, draft.new.device)

    def issued(self, record: CertificateRecord, trace: tuple[Decision, ...] = ()) -> Issued:
        """Return a stored certificate with its chain.

        Raises:
            Unavailable: it is being signed.
        """
        generation = self.authorities.key(record.authority, record.generation).generation
        return _issued(record, (generation.certificate, *generation.chain), trace)

    def known(self, request: EnrollmentRequest) -> Issued | None:
        """Return what a requester's transaction led to at this door, if anything.

        Raises:
            RequestRejected: it led to a certificate for another key.
            Unavailable: it is being signed.
        """
        return self._known(request.door, request.transaction, key_hash(request.csr.public_key))

    def _known(self, door: str, transaction: str | None, for_key: str) -> Issued | None:
        if transaction is None:
            return None
        with self.database.reading() as connection:
            record = certificates_storage.by_transaction(
                connection, door, transaction, self.clock()
            )
        if record is None:
            return None
        issued = self.issued(record)
        if key_hash(public_key_of(read_certificate(issued.certificate))) != for_key:
            raise RequestRejected("this transaction already served another key")
        return issued

    def of_stored(
        self, stored: RequestRecord | None, trace: DecisionTrace
    ) -> Issued | Pending | None:
        """Return what came of a request that waited; nothing if it has to be decided on (again).

        Raises:
            RequestRejected: somebody declined it.
            Unavailable: it is being signed.
        """
        if stored is None:
            return None
        if stored.state is RequestState.DECLINED:
            why = stored.comment or "no reason was given"
            trace.refuse("approval", f"request {stored.id}", f"it was declined: {why}")
        if stored.certificate_id is None:
            return Pending(stored.id, RETRY_AFTER, trace.decisions)
        with self.database.reading() as connection:
            record = certificates_storage.get(connection, stored.certificate_id, self.clock())
        if record.status is not CertificateStatus.VALID:
            return None
        return self.issued(record, trace.decisions)


def superseded(request: EnrollmentRequest, template: Template) -> CertificateRecord | None:
    """Return the certificate that is revoked when the new one is there."""
    return request.renews if template.renewal.revoke_old else None


def _issued(
    record: CertificateRecord, chain: tuple[bytes, ...], trace: tuple[Decision, ...]
) -> Issued:
    if record.certificate is None:
        # The same transaction on another thread or node, or one that a crash interrupted.
        raise Unavailable("this certificate is being signed: ask again", BEING_SIGNED)
    return Issued(record, record.certificate, chain, trace)
