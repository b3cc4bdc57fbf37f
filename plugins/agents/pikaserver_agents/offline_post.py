"""Requests to agents without a line: they wait for a bundle, and the same wish finds its answer."""

from dataclasses import replace

from sqlalchemy import Connection

from hsm_agent.wire.bundles import BUNDLE_LIFE
from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.messages import (
    Approve,
    Context,
    Generate,
    JournalRead,
    PutCertificate,
    Refused,
    Sign,
)
from pikaserver.api.errors import KeyUnavailable, SignaturePending
from pikaserver.api.server import Server
from pikaserver_agents.line import Answer, Request
from pikaserver_agents.moments import milliseconds
from pikaserver_agents.refusing import APPROVAL_NEEDED
from pikaserver_agents.storage import jobs
from pikaserver_agents.storage.jobs import JobRow, JobState, Way
from pikaserver_agents.structures import sha256

AGAIN_SECONDS = 60
"""When a caller may ask again: soon enough once somebody has brought the answer."""


class OfflinePost:
    """Keeps requests until somebody carries them, and answers until somebody asks again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._now = milliseconds(server.clock)

    def ask(self, agent: str, request: Request) -> Answer:
        """Return the answer to this wish, if it was brought.

        Raises:
            SignaturePending: the wish waits to be carried, or its answer to be brought.
        """
        deed = deed_of(request)
        with self._server.database.reading() as connection:
            job = jobs.by_deed(connection, agent, deed)
        # Whoever waits asks again and again, so nothing is written for that.
        if job is not None and job.state is JobState.ANSWERED:
            return self._answer(job)
        if job is None:
            with self._server.database.transaction() as connection:
                self._add(connection, agent, request, deed)
        carried = job is not None and job.state is JobState.CLAIMED
        raise SignaturePending(_todo(agent, carried=carried), retry_after=AGAIN_SECONDS)

    def _add(self, connection: Connection, agent: str, request: Request, deed: bytes) -> None:
        now = self._now()
        jobs.add(
            connection,
            JobRow(
                id=request.id,
                agent=agent,
                way=Way.OFFLINE,
                node=self._server.node,
                created_at=now,
                deadline=now + BUNDLE_LIFE,
                deed=deed,
                message=encode(to_map(_lasting(request, now + BUNDLE_LIFE))),
            ),
        )

    def _answer(self, job: JobRow) -> Answer:
        """Return what was brought; a refusal counts once, then the wish may be carried again."""
        answer = from_map(decode(job.answer))
        if not isinstance(answer, Answer):
            raise KeyUnavailable(f"what was brought from agent {job.agent} is no answer")
        if isinstance(answer, Refused):
            with self._server.database.transaction() as connection:
                if answer.code == APPROVAL_NEEDED:
                    jobs.reopen(connection, job.id)
                else:
                    jobs.remove(connection, job.id)
        return answer


def deed_of(request: Request) -> bytes:
    """Return a hash that the same wish has again, whenever and for whomever it is made."""
    anonymous: Request
    match request:
        case Sign() | Generate():
            anonymous = replace(request, id=b"", expires=0, context=Context())
        case PutCertificate() | Approve():
            anonymous = replace(request, id=b"", expires=0)
        case JournalRead():
            anonymous = replace(request, id=b"")
    return sha256(encode(to_map(anonymous)))


def _lasting(request: Request, expires: int) -> Request:
    return request if isinstance(request, JournalRead) else replace(request, expires=expires)


def _todo(agent: str, *, carried: bool) -> str:
    if carried:
        return (
            f"the request was carried to agent {agent}: bring its answer back with"
            " 'pikaserver agent bundle import FILE'"
        )
    return (
        f"agent {agent} has no line: carry the request there with"
        f" 'pikaserver agent bundle export {agent} --out FILE'"
    )
