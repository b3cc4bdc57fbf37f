"""Requests that wait for a person: stored, approved or declined, and issued once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pikaserver.api.errors import Conflict, Unavailable
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    OneTimeProof,
    Requester,
    RequestRecord,
    RequestState,
)
from pikaserver.api.operations import Clock, RequestWaiting
from pikaserver.api.storage import Database
from pikaserver.asn1.crmf import read_any_request
from pikaserver.asn1.csr_redaction import without_password
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.admission import lifetime
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.events import Events
from pikaserver.authority.preparation import TemplateVersion
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage import certificates as certificates_storage
from pikaserver.storage import pairs
from pikaserver.storage import requests as storage
from pikaserver.storage.devices import Contact
from pikaserver.storage.pairs import SecondWish
from pikaserver.storage.requests import NewRequest

BEING_SIGNED = 5
"""Seconds after which a client may ask again for what is being signed."""


def key_hash(public_key: bytes) -> str:
    """Return by what a key (SPKI) is found, SHA-256 in hex."""
    return hashlib.sha256(public_key).hexdigest()


def wish_hash(csr: CertificationRequest, second: CertificationRequest | None = None) -> str:
    """Return what two requests for the same have in common, SHA-256 in hex.

    A challenge password says nothing of what is wished: one that ties the request to a TLS
    session is another one whenever a client comes back (RFC 7030 section 3.5).  A pair is
    another wish than its first certificate alone.
    """
    if second is not None:
        return hashlib.sha256(f"pair {wish_hash(csr)} {wish_hash(second)}".encode()).hexdigest()
    if csr.challenge_password is None:
        return hashlib.sha256(csr.der).hexdigest()
    parts = [csr.subject.public_bytes(), csr.public_key]
    for extension in csr.extensions:
        critical = b"\x01" if extension.critical else b"\x00"
        parts += [extension.oid.dotted_string.encode(), critical, extension.value.public_bytes()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's yes, good for one certificate; implements ``OneTimeProof``."""

    request_id: int

    def spend(self, connection: Connection) -> None:
        """See the protocol; who comes second has no wrong credential, only bad timing."""
        if not storage.claim(connection, self.request_id):
            why = f"request {self.request_id} is being issued, or was: ask again"
            raise Unavailable(why, BEING_SIGNED)

    def restore(self, connection: Connection) -> None:
        """See the protocol."""
        storage.unclaim(connection, self.request_id)


class WaitingRequests:
    """Keeps the requests of templates that want an approval."""

    def __init__(
        self,
        database: Database,
        templates: TemplateDirectory,
        audit: AuditTrail,
        events: Events,
        clock: Clock,
    ) -> None:
        self._database = database
        self._templates = templates
        self._audit = audit
        self._events = events
        self._clock = clock

    def store(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        device: Contact | None,
        trace: DecisionTrace,
        second: SecondWish | None = None,
    ) -> int:
        """Store a request, with the second one of a pair, and spend its proof; return its id.

        Raises:
            RequestRejected: the device that asks was retired.
            Unavailable: the same was stored at the same moment.
        """
        new = _new_request(request, version, trace, self._clock(), device)
        if second is not None:
            new = replace(new, csr_hash=second.wish_hash)
        with self._database.transaction() as connection:
            if request.requester.proof is not None:
                request.requester.proof.spend(connection)
            request_id = storage.insert(connection, new)
            if second is not None:
                pairs.wait(connection, request_id, second)
            self._audit.record(
                connection,
                "request.stored",
                request.requester.name,
                request=request_id,
                template=version.template.name,
                subject=new.subject,
            )
        self._events.announce(RequestWaiting(request_id, version.template.name))
        return request_id

    def find_in(
        self,
        connection: Connection,
        request: EnrollmentRequest,
        second: CertificationRequest | None = None,
    ) -> RequestRecord | None:
        """Return the newest stored request that asked the same with the same CSRs."""
        renews = request.renews or request.requester.certificate
        return storage.find(
            connection,
            wish_hash(request.csr, second),
            requester=request.requester.name,
            template=request.template,
            renews_id=renews.id if renews else None,
        )

    def get(self, request_id: int) -> RequestRecord:
        """Return one stored request.

        Raises:
            NotFound: no such request.
        """
        with self._database.reading() as connection:
            return storage.get(connection, request_id)

    def list(self, state: RequestState | None = None, limit: int = 100) -> Sequence[RequestRecord]:
        """Return stored requests, newest first."""
        with self._database.reading() as connection:
            return storage.list(connection, state, limit=limit)

    def load(self, request_id: int) -> tuple[RequestRecord, EnrollmentRequest]:
        """Return a stored request as it once came in."""
        with self._database.reading() as connection:
            record = storage.get(connection, request_id)
            details = storage.details(connection, request_id)
            renews = (
                certificates_storage.get(connection, details.renews_id, self._clock())
                if details.renews_id
                else None
            )
        requester = Requester(record.requester, details.method, certificate=renews)
        request = EnrollmentRequest(
            csr=read_any_request(record.csr),
            requester=requester,
            template=record.template,
            door=record.door,
            renews=renews,
            validity=details.validity,
            transaction=details.transaction,
        )
        return record, request

    def decide(
        self,
        request_id: int,
        actor: str,
        *,
        approve: bool,
        comment: str | None = None,
        validity: timedelta | None = None,
    ) -> None:
        """Approve or decline a request that waits.

        Raises:
            NotFound: no such request.
            Conflict: somebody decided already.
            RequestRejected: a template of the request does not allow this validity.
        """
        state = RequestState.APPROVED if approve else RequestState.DECLINED
        with self._database.transaction() as connection:
            stored = storage.get(connection, request_id)
            decided = storage.decide(
                connection, request_id, state, by=actor, at=self._clock(), comment=comment
            )
            if not decided:
                raise Conflict(f"somebody has already decided on request {request_id}")
            if validity is not None:
                self._check_validity(connection, stored, validity)
                storage.override_validity(connection, request_id, validity)
            self._audit.record(
                connection,
                f"request.{state}",
                actor,
                request=request_id,
                comment=comment,
                validity_seconds=int(validity.total_seconds()) if validity else None,
            )

    def _check_validity(
        self, connection: Connection, stored: RequestRecord, validity: timedelta
    ) -> None:
        """Ask each template now: after a yes that it does not allow nothing could be issued."""
        asked = [(stored.template, stored.template_version)]
        second = pairs.of_request(connection, stored.id)
        if second is not None:
            asked.append((second.template, second.template_version))
        for name, number in asked:
            template = self._templates.version_in(connection, name, number).template
            lifetime(validity, template, DecisionTrace())

    def approval(self, request_id: int) -> OneTimeProof:
        """Return the approval of a request as a proof to be spent."""
        return Approval(request_id)

    def attach(self, connection: Connection, request_id: int, certificate_id: int) -> None:
        """Note which certificate came of a request."""
        storage.attach_certificate(connection, request_id, certificate_id)


def _new_request(
    request: EnrollmentRequest,
    version: TemplateVersion,
    trace: DecisionTrace,
    at: datetime,
    device: Contact | None,
) -> NewRequest:
    csr = request.csr
    return NewRequest(
        template_id=version.id,
        template_version=version.template.version,
        door=request.door,
        requester=request.requester.name,
        method=request.requester.method,
        csr=without_password(csr),
        csr_hash=wish_hash(csr),
        key_hash=key_hash(csr.public_key),
        subject=csr.subject.rfc4514_string(),
        names=tuple(general_name_text(name) for name in csr.names),
        renews_id=request.renews.id if request.renews else None,
        validity=request.validity,
        transaction=request.transaction,
        trace=trace.decisions,
        created_at=at,
        device=device,
    )
