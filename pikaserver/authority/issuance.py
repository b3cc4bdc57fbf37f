"""The last stretch of the one road: intent, signature, certificate.

::

    commit 1   serial, TBS, template version, requester + audit "certificate.signing"
    sign_tbs   no transaction is open; what comes back is verified
    commit 2   certificate + audit "certificate.issued"

Where the signature comes later (`SignaturePending`), a draft that ``can_wait`` is kept, and the
same deed done again goes on with it; any other is abandoned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import (
    KeyUnavailable,
    PikaserverError,
    SignaturePending,
    StorageUnavailable,
)
from pikaserver.api.operations import CertificateIssued, Clock, Entropy
from pikaserver.api.signing import KeyReference
from pikaserver.api.storage import Database
from pikaserver.asn1.certificate import assemble
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.awaiting import find_awaiting
from pikaserver.authority.events import Events
from pikaserver.authority.signers import SignerRegistry
from pikaserver.signing.sign import sign_tbs
from pikaserver.storage import certificates as storage
from pikaserver.storage.certificates import NewCertificate
from pikaserver.storage.clock import guard

SERIAL_OCTETS = 18
"""One octet for the node and 17 random ones."""

CLOCK_TOLERANCE = timedelta(minutes=2)
"""A clock that says less than was seen before, by more than this, stops signing."""

Step = Callable[[Connection], None]
Completion = Callable[[Connection, int, bytes], None]


@dataclass(frozen=True, slots=True)
class Draft:
    """An unsigned certificate that passed every rule; it can be signed once."""

    key: KeyReference
    algorithm: str
    issuer_public_key: bytes
    new: NewCertificate
    chain: tuple[bytes, ...] = ()
    """The certificates above, from the issuer to the root."""
    can_wait: bool = False
    """Whether it is kept where people have to approve the signature first."""


def no_step(connection: Connection) -> None:
    """Do nothing more in the transaction of the intent."""


def no_completion(connection: Connection, certificate_id: int, certificate: bytes) -> None:
    """Do nothing more in the transaction of the certificate."""


@dataclass(frozen=True, slots=True)
class Together:
    """What happens in the same transactions as the issuance, or not at all.

    ``with_intent`` spends one-time proofs, ``undone`` gives them back when the key could not
    sign, ``with_certificate`` does what follows from the certificate.
    """

    with_intent: Step = no_step
    undone: Step = no_step
    with_certificate: Completion = no_completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuance:
    """Signs drafts; nobody else asks for signatures over certificates."""

    database: Database
    signers: SignerRegistry
    audit: AuditTrail
    events: Events
    clock: Clock
    entropy: Entropy
    node: int

    def next_serial(self) -> int:
        """Return a fresh positive serial number of 18 octets.

        RFC 5280 section 4.1.2.2 asks for a positive number of at most 20 octets.  The first
        octet is the node's number, 1 to 127: it keeps the sign bit clear, the length constant
        and two nodes apart.  17 random octets follow; the CA/Browser Forum asks for 8.
        """
        return int.from_bytes(bytes([self.node]) + self.entropy(SERIAL_OCTETS - 1), "big")

    def issue(self, draft: Draft, together: Together | None = None) -> CertificateRecord:
        """Store the intent, sign, store the certificate, and only then hand it out.

        Raises:
            KeyUnavailable: the key cannot sign now; proofs were given back.
            SignatureFaulty: what the signer returned does not verify; nothing was released.
            StorageUnavailable: one of the two commits failed; nothing was released.
            Conflict: what belongs together with the certificate is not possible any more.
        """
        together = together or Together()
        # A key that is away is found out before the intent, so that no serial is wasted.
        signer = self.signers.open(draft.key, draft.algorithm)
        draft, kept_id = self._kept(draft) if draft.can_wait else (draft, None)
        certificate_id = kept_id or self._intend(draft, together)
        try:
            signature = sign_tbs(signer, draft.new.tbs, draft.issuer_public_key)
            certificate = assemble(draft.new.tbs, draft.algorithm, signature)
            record = self._complete(draft, certificate_id, certificate, together)
        except StorageUnavailable:
            # Whether it is stored is open; the next start finds out.
            raise
        except SignaturePending as pending:
            if draft.can_wait:
                self._keep(draft, certificate_id, pending)
            else:
                self._abandon(draft, certificate_id, together, pending)
            raise
        except PikaserverError as error:
            self._abandon(draft, certificate_id, together, error)
            raise
        self.events.announce(CertificateIssued(record))
        return record

    def _kept(self, draft: Draft) -> tuple[Draft, int | None]:
        """Return the draft that was kept earlier in place of a new one that says the same."""
        with self.database.transaction() as connection:
            same, others = find_awaiting(connection, draft.new, draft.algorithm)
            for other in others:
                storage.abandon(connection, other.id)
                self._audit_end(connection, draft, other.id, other.serial, "another was asked for")
        if same is None:
            return draft, None
        return replace(draft, new=replace(draft.new, serial=same.serial, tbs=same.tbs)), same.id

    def _keep(self, draft: Draft, certificate_id: int, pending: SignaturePending) -> None:
        with self.database.transaction() as connection:
            storage.await_signature(connection, certificate_id)
            self.audit.record(
                connection,
                "certificate.awaiting",
                draft.new.requester,
                certificate=certificate_id,
                serial=write_serial(draft.new.serial),
                approval=pending.approval.hex() if pending.approval else None,
                why=str(pending),
            )

    def _intend(self, draft: Draft, together: Together) -> int:
        new = draft.new
        with self.database.transaction() as connection:
            guard(connection, self.clock(), CLOCK_TOLERANCE)
            together.with_intent(connection)
            certificate_id = storage.insert_intent(connection, new)
            self.audit.record(
                connection,
                "certificate.signing",
                new.requester,
                certificate=certificate_id,
                generation=new.generation_id,
                serial=write_serial(new.serial),
                subject=new.subject,
                names=list(new.names),
                template=new.template_id,
                version=new.template_version,
                door=new.door,
            )
        return certificate_id

    def _complete(
        self, draft: Draft, certificate_id: int, certificate: bytes, together: Together
    ) -> CertificateRecord:
        with self.database.transaction() as connection:
            storage.complete(connection, certificate_id, certificate)
            together.with_certificate(connection, certificate_id, certificate)
            self.audit.record(
                connection,
                "certificate.issued",
                draft.new.requester,
                certificate=certificate_id,
                serial=write_serial(draft.new.serial),
            )
            return storage.get(connection, certificate_id, self.clock())

    def _abandon(
        self, draft: Draft, certificate_id: int, together: Together, error: PikaserverError
    ) -> None:
        with self.database.transaction() as connection:
            storage.abandon(connection, certificate_id)
            if isinstance(error, KeyUnavailable):
                together.undone(connection)
            self._audit_end(connection, draft, certificate_id, draft.new.serial, str(error))

    def _audit_end(
        self, connection: Connection, draft: Draft, certificate_id: int, serial: int, why: str
    ) -> None:
        self.audit.record(
            connection,
            "certificate.abandoned",
            draft.new.requester,
            certificate=certificate_id,
            serial=write_serial(serial),
            why=why,
        )
