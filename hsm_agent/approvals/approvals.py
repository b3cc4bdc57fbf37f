"""What waits for approval, who approved it, and whether these are enough."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from hsm_agent.approvals.faults import Declined, ProofRefused, StillWaiting, TooManyWait
from hsm_agent.approvals.proofs import LOCAL, approver_of
from hsm_agent.approvals.records import Proof, Record, Records, with_proof
from hsm_agent.approvals.statement import statement
from hsm_agent.faults import NotThere
from hsm_agent.journal.faults import JournalFault
from hsm_agent.journal.journal import Journal
from hsm_agent.policy.policy import Policy
from hsm_agent.policy.verdicts import Approval
from hsm_agent.wire.errors import WireError

LIFE = 7 * 24 * 3600 * 1000
"""Milliseconds after which octets wait no longer."""
MOST_WAITING = 256
MOST_WAITING_OF_A_KEY = 64
LARGEST = 1 << 20
"""Octets; certificates and requests are far smaller, and nothing else should need a person."""
MOST_OCTETS = 64 << 20
"""Of everything that waits together."""
LARGEST_TEXT = 64 << 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Octets that need approval: ``key`` is the SHA-256 of the key that shall sign them.

    ``text`` is what they say, for a person.
    """

    key: bytes
    key_name: str
    kind: str
    octets: bytes
    text: str
    threshold: Approval


class Approvals:
    """The pending octets of an agent, in a folder that only it reads; any thread may call it."""

    def __init__(
        self,
        folder: Path,
        agent: str,
        policies: Callable[[], Policy],
        journal: Journal,
        now: Callable[[], int],
    ) -> None:
        """Read what waits; ``policies`` returns the policy of the moment, which names approvers."""
        self._agent = agent
        self._policies = policies
        self._journal = journal
        self._now = now
        self._lock = Lock()
        self._records = Records(folder)

    def pending(self) -> Sequence[Record]:
        """List what waits, the oldest first."""
        with self._lock:
            self._forget_expired()
            waiting = [one for one in self._records.all().values() if not one.declined]
        return sorted(waiting, key=lambda one: one.since)

    def octets(self, approval: bytes) -> bytes:
        """Return the octets that wait under this hash.

        Raises:
            NotThere: none do.
        """
        with self._lock:
            self._waiting(approval)
            return self._octets(approval)

    def ask(self, wanted: Wanted) -> tuple[str, ...]:
        """Return who approved these octets, where these are enough; else keep them waiting.

        Raises:
            StillWaiting: approvals are missing.
            Declined: a person said no.
            TooManyWait: nothing more is kept waiting now.
            JournalFault: it could not be journaled or kept.
        """
        approval = hashlib.sha256(wanted.octets).digest()
        with self._lock:
            self._forget_expired()
            record = self._records.all().get(approval)
            if record is None:
                record = self._begin(approval, wanted)
            if record.statement != self._statement(wanted):
                raise TooManyWait("the same octets wait already, for another key or kind")
            if record.declined:
                raise Declined("a person at the agent declined these octets")
            self._follow_policy(record, wanted.threshold)
            approved_by = self._approved_by(record, wanted.threshold)
        need = wanted.threshold.need
        if len(approved_by) < need:
            raise StillWaiting(f"{len(approved_by)} of {need} approvals: {approval.hex()}")
        return approved_by

    def add_proof(self, approval: bytes, kind: str, proof: bytes) -> Record:
        """Take one approver's proof: ``local`` (empty), ``ssh``, ``ed25519`` or ``webauthn``.

        ``local`` is for the operator of this host alone: the caller has to know that it is.

        Raises:
            NotThere: nothing of that hash waits.
            ProofRefused: the proof convinces nobody; the text says why.
            JournalFault: it could not be journaled or kept.
        """
        with self._lock:
            record = self._waiting(approval)
            if kind == LOCAL:
                by = LOCAL
            else:
                approvers = self._policies().approvers
                by = approver_of(approvers, record.statement, kind, proof).name
            if by not in record.of:
                raise ProofRefused(f"{by} is not asked: approvals come from {', '.join(record.of)}")
            if any((one.by, one.kind, one.octets) == (by, kind, proof) for one in record.proofs):
                return record
            self._note("approved", record, by=by, proof=kind)
            record = with_proof(record, Proof(by, kind, proof, self._now()))
            self._write(record, self._octets(approval))
        return record

    def decline(self, approval: bytes) -> None:
        """Refuse these octets, until they expire.

        Raises:
            NotThere: nothing of that hash waits.
            JournalFault: it could not be journaled or kept.
        """
        with self._lock:
            record = self._waiting(approval)
            self._note("declined", record)
            self._write(replace(record, declined=True, octets=0, proofs=()), b"")

    def forget(self, approval: bytes) -> None:
        """Let octets wait no longer: they are signed."""
        with self._lock:
            if approval in self._records.all():
                self._remove(approval)

    def _waiting(self, approval: bytes) -> Record:
        self._forget_expired()
        record = self._records.all().get(approval)
        if record is None or record.declined:
            raise NotThere(f"nothing waits for approval as {approval.hex()}")
        return record

    def _begin(self, approval: bytes, wanted: Wanted) -> Record:
        self._check_room(wanted)
        now = self._now()
        record = Record(
            approval,
            wanted.key,
            wanted.key_name,
            wanted.kind,
            len(wanted.octets),
            self._statement(wanted),
            wanted.text[:LARGEST_TEXT],
            now,
            now + LIFE,
            wanted.threshold.need,
            wanted.threshold.of,
        )
        self._note("waiting", record)
        self._write(record, wanted.octets)
        return record

    def _check_room(self, wanted: Wanted) -> None:
        records = self._records.all().values()
        if len(wanted.octets) > LARGEST:
            raise TooManyWait(f"{len(wanted.octets)} octets are more than wait for approval")
        if len(records) >= MOST_WAITING or (
            sum(one.key == wanted.key for one in records) >= MOST_WAITING_OF_A_KEY
        ):
            raise TooManyWait("too many requests wait for approval: approve or decline some")
        if sum(one.octets for one in records) + len(wanted.octets) > MOST_OCTETS:
            raise TooManyWait("too much waits for approval: approve or decline some")

    def _follow_policy(self, record: Record, threshold: Approval) -> None:
        """Have approvers asked as the policy says now."""
        if (record.need, record.of) != (threshold.need, threshold.of):
            changed = replace(record, need=threshold.need, of=threshold.of)
            self._write(changed, self._octets(record.approval))

    def _approved_by(self, record: Record, threshold: Approval) -> tuple[str, ...]:
        """Return different approvers whose proofs hold under the policy of the moment."""
        approvers = self._policies().approvers
        found: dict[bytes, str] = {}
        for proof in record.proofs:
            if proof.by not in threshold.of:
                continue
            if proof.kind == LOCAL:
                found[b""] = LOCAL
                continue
            try:
                approver = approver_of(approvers, record.statement, proof.kind, proof.octets)
            except ProofRefused as refused:
                _log.warning("approval by %s does not hold any more: %s", proof.by, refused)
            else:
                # One key under two names is one approver.
                if approver.name == proof.by:
                    found.setdefault(approver.key, approver.name)
        return tuple(sorted(found.values()))

    def _statement(self, wanted: Wanted) -> bytes:
        return statement(self._agent, wanted.key, wanted.kind, wanted.octets)

    def _octets(self, approval: bytes) -> bytes:
        try:
            return self._records.octets(approval)
        except (OSError, WireError) as error:
            raise NotThere(f"what waits as {approval.hex()} cannot be read") from error

    def _note(self, event: str, record: Record, **fields: str) -> None:
        self._journal.append(
            event,
            key=record.key.hex(),
            name=record.key_name,
            kind=record.kind,
            tbs=record.approval.hex(),
            **fields,
        )

    def _write(self, record: Record, octets: bytes) -> None:
        try:
            self._records.write(record, octets)
        except OSError as error:
            raise JournalFault(f"approvals cannot be written: {error.strerror}") from error

    def _remove(self, approval: bytes) -> None:
        try:
            self._records.remove(approval)
        except OSError as error:
            _log.warning("approval %s is not removed: %s", approval.hex(), error.strerror)

    def _forget_expired(self) -> None:
        now = self._now()
        for record in [one for one in self._records.all().values() if one.expires < now]:
            self._remove(record.approval)
