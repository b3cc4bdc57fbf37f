"""Signed checkpoints of the audit trail: kept elsewhere, they show what was cut off or rewritten.

A checkpoint is SignedData (RFC 5652) over JSON: when it was made, and where the chain of each node
ended then.  Its key is one of the server's services, of any type that signs, ML-DSA too (RFC 9882).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import MalformedRequest, NotFound, SignatureFaulty
from pikaserver.api.operations import Clock
from pikaserver.api.services import ServiceKeys, ServiceUse
from pikaserver.api.storage import Database
from pikaserver.asn1 import der
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data import (
    DATA,
    SIGNING_TIME,
    Signed,
    attribute,
    digest_of,
    signed_attributes,
    signed_data,
)
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.signing_certificates import check_binding, signing_certificate_v2
from pikaserver.authority.audit import AuditTrail
from pikaserver.storage import audit as storage
from pikaserver.storage.audit import Head
from pikaserver.storage.certificates import CertificateStore

SERVICE = "audit"
"""The service and its template."""

_KIND = "pikaserver-audit-checkpoint"
_VERSION = 1
_HASH_OCTETS = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the chains ended at a moment, by node."""

    at: datetime
    heads: Mapping[int, Head]


@dataclass(frozen=True, slots=True)
class CheckedCheckpoint:
    """A checkpoint whose signature holds; ``problem`` says what of it the trail lost."""

    checkpoint: Checkpoint
    signer: CertificateRecord
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Signs them, and holds the trail against them."""

    database: Database
    services: ServiceKeys
    certificates: CertificateStore
    audit: AuditTrail
    clock: Clock

    def sign(self, authority: str, actor: str) -> bytes:
        """Return a checkpoint (DER), signed below an authority; the trail tells of it.

        Raises:
            NotFound: there is no such authority, or no template ``audit``.
            KeyUnavailable: the key cannot sign now.
        """
        key = self.services.get(ServiceUse(SERVICE, "audit", authority))
        at = self.clock().replace(microsecond=0)
        with self.database.reading() as connection:
            content = write_checkpoint(Checkpoint(at, storage.heads(connection)))
        attributes = signed_attributes(
            DATA,
            digest(digest_of(key.algorithm), content),
            attribute(SIGNING_TIME, der.time(at)),
            signing_certificate_v2(key.certificate),
        )
        signed = Signed(key.certificate, key.algorithm, attributes, key.sign(attributes, content))
        with self.database.transaction() as connection:
            self.audit.record(connection, "audit.checkpoint", actor, authority=authority)
        return signed_data(DATA, content, signed, (key.certificate, *key.chain))

    def check(self, octets: bytes) -> CheckedCheckpoint:
        """Return what a checkpoint says, and whether the trail still holds it.

        Raises:
            MalformedRequest: it is no checkpoint.
            SignatureFaulty: it is not signed by a key of this server's for checkpoints.
        """
        signed = read_signed_data(octets)
        certificate = signed.signer()
        try:
            record = self.certificates.by_certificate(certificate)
        except NotFound:
            raise SignatureFaulty("the checkpoint is signed by somebody else") from None
        if record.requester != f"server:{SERVICE}":
            raise SignatureFaulty("the checkpoint is signed by a key that is for something else")
        signed.verify(certificate)
        check_binding(signed, certificate)
        checkpoint = read_checkpoint(signed.content or b"")
        with self.database.reading() as connection:
            problem = _problem(connection, checkpoint)
        return CheckedCheckpoint(checkpoint, record, problem)


def write_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the JSON of a checkpoint, always the same for the same."""
    heads = {
        str(node): {"hash": head.hash.hex(), "sequence": head.sequence}
        for node, head in checkpoint.heads.items()
    }
    document = {
        "at": checkpoint.at.astimezone(UTC).isoformat(timespec="seconds"),
        "heads": heads,
        "kind": _KIND,
        "version": _VERSION,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def read_checkpoint(content: bytes) -> Checkpoint:
    """Read it.

    Raises:
        MalformedRequest: it is something else.
    """
    try:
        document = json.loads(content)
        kind = document["kind"], document["version"]
        at = datetime.fromisoformat(document["at"])
        heads = {int(node): _head(one) for node, one in document["heads"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MalformedRequest("it is signed, and no checkpoint of an audit trail") from None
    if kind != (_KIND, _VERSION) or at.tzinfo is None:
        raise MalformedRequest("it is signed, and no checkpoint that is known here")
    return Checkpoint(at, heads)


def _head(one: Mapping[str, object]) -> Head:
    hashed, sequence = bytes.fromhex(str(one["hash"])), one["sequence"]
    if len(hashed) != _HASH_OCTETS or not isinstance(sequence, int) or sequence < 0:
        raise ValueError("no end of a chain")
    return Head(sequence, hashed)


def _problem(connection: Connection, checkpoint: Checkpoint) -> str | None:
    for node, head in sorted(checkpoint.heads.items()):
        if head.sequence == 0:
            continue
        found = storage.hash_of(connection, node, head.sequence)
        if found is None:
            return f"node {node}: record {head.sequence} is not there any more"
        if found != head.hash:
            return f"node {node}: record {head.sequence}, or one before it, is another one"
    return None
