"""Every outcome of a request to sign: counted, written into the history, alarmed where needed."""

import logging
from dataclasses import dataclass

from hsm_agent.wire.messages import Mark, Refused, Sign
from pikaserver.api.operations import Alarm
from pikaserver.api.server import Server
from pikaserver_agents.directory import Directory
from pikaserver_agents.figures import Figures
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.printing import printable
from pikaserver_agents.scribe import Scribe
from pikaserver_agents.storage import approvals
from pikaserver_agents.storage.approvals import ApprovalRow
from pikaserver_agents.storage.histories import SIGNED, HistoryRow
from pikaserver_agents.storage.marks import BEGINNING

FAULTY, LOST, LATE = "faulty", "lost", "late"
ACTOR = "agents"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whom it was sent to."""

    agent: str
    request: Sign
    tbs_hash: bytes
    purpose: str


class Ledger:
    """Knows what was asked and what came of it."""

    def __init__(
        self, server: Server, directory: Directory, scribe: Scribe, figures: Figures
    ) -> None:
        self._server = server
        self._directory = directory
        self._scribe = scribe
        self._figures = figures
        self._now = milliseconds(server.clock)

    def signed(self, asked: Asked, mark: Mark, seconds: float) -> None:
        """Note a signature that holds."""
        self._figures.signed(asked.agent, seconds)
        self._write(asked, SIGNED, mark)
        self._settle(asked)

    def refused(self, asked: Asked, refused: Refused) -> None:
        """Note a refusal."""
        self._figures.refused(asked.agent, refused.code)
        self._write(asked, refused.code, refused.journal)
        _log.info(
            "agent refused",
            extra={
                "event": "agents.refusal",
                "agent": asked.agent,
                "refusal": refused.code,
                "why": printable(refused.why),
                "tbs": asked.tbs_hash.hex(),
            },
        )
        if not refused.retry:
            self._settle(asked)

    def unanswered(self, asked: Asked, outcome: str, why: str) -> None:
        """Note that no answer came: the line was `LOST`, or it was too `LATE`."""
        self._write(asked, outcome, BEGINNING)
        _log.warning(
            "agent did not answer",
            extra={"event": f"agents.{outcome}", "agent": asked.agent, "why": why},
        )

    def failed_over(self) -> None:
        """Note that another agent is asked the same."""
        self._figures.failed_over()

    def faulty(self, asked: Asked, mark: Mark) -> None:
        """Note a signature that does not hold: the agent, its token or its key is not right."""
        self._write(asked, FAULTY, mark)
        text = f"agent {asked.agent} returned a signature that does not verify; it was not used"
        fields = {
            "agent": asked.agent,
            "spki": asked.request.key.hex(),
            "tbs": asked.tbs_hash.hex(),
        }
        with self._server.database.transaction() as connection:
            self._server.audit.record(connection, "agent.signature-faulty", ACTOR, **fields)
        self._server.announce(Alarm("agents.signature-faulty", text, fields))
        _log.error("faulty signature", extra={"event": "agents.faulty", **fields})

    def waits(self, asked: Asked, refused: Refused) -> None:
        """Note that people have to approve what was asked."""
        digest = refused.approval or asked.tbs_hash
        why = printable(refused.why)
        self.note_approval(
            ApprovalRow(digest, asked.agent, asked.request.key, asked.purpose, why, self._now())
        )

    def note_approval(self, row: ApprovalRow) -> None:
        """Remember something that waits for approvals at an agent."""
        if row.approval in self._directory.view().approvals:
            return
        with self._server.database.transaction() as connection:
            if approvals.add(connection, row):
                self._server.audit.record(
                    connection,
                    "agent.approval-needed",
                    ACTOR,
                    agent=row.agent,
                    approval=row.approval.hex(),
                    purpose=row.purpose,
                )
        self._directory.refresh()

    def _settle(self, asked: Asked) -> None:
        """Forget an approval that was waited for."""
        if asked.tbs_hash in self._directory.view().approvals:
            with self._server.database.transaction() as connection:
                approvals.remove(connection, asked.tbs_hash)
            self._directory.refresh()

    def _write(self, asked: Asked, outcome: str, mark: Mark) -> None:
        self._scribe.note(
            HistoryRow(
                id=asked.request.id,
                agent=asked.agent,
                spki_hash=asked.request.key,
                tbs_hash=asked.tbs_hash,
                purpose=asked.purpose,
                outcome=outcome,
                journal=mark,
                at=self._now(),
            )
        )
