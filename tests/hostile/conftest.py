"""A real server without sockets behind its EST door, and what tells whether it issued."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from falcon.testing import Result
from sqlalchemy import func, select

from pikaserver.ground import items
from pikaserver.server import PkiServer
from pikaserver.storage.code_table import enrollment_code
from pikaserver.storage.tables import audit_record, certificate
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.servers import make_server

ENROLL = "/.well-known/est/simpleenroll"


@dataclass(frozen=True)
class Door:
    """The doors of a server, a code that is good for many certificates, and a look inside."""

    server: PkiServer
    client: ServiceClient
    code: tuple[str, str]

    def enroll(self, der: bytes, path: str = ENROLL) -> Result:
        """Ask for a certificate, as EST wants it."""
        return self.client.send(
            "POST",
            path,
            base64.b64encode(der),
            headers={"Content-Type": "application/pkcs10"},
            user=self.code,
        )

    def traces(self) -> tuple[int, int, int]:
        """Return what an issuance would change: certificates, records of the audit, uses left."""
        with self.server.database.reading() as connection:
            return (
                connection.execute(select(func.count()).select_from(certificate)).scalar_one(),
                connection.execute(select(func.count()).select_from(audit_record)).scalar_one(),
                connection.execute(select(func.sum(enrollment_code.c.uses_left))).scalar_one(),
            )


@pytest.fixture(scope="module")
def door(tmp_path_factory) -> Iterator[Door]:
    """Give one server to the tests of a file."""
    with make_server(tmp_path_factory.mktemp("hostile") / "data") as server:
        client = ServiceClient(*items(server.plugins.services(server)))
        made = server.codes.create("device", "test", uses=100_000)
        yield Door(server, client, (made.user, made.code))


@pytest.fixture
def refused(door, caplog):
    """Give a judge: an answer is a clear refusal, and nothing was issued up to here."""
    before = door.traces()

    def judge(answer: Result, *statuses: int) -> None:
        assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
        assert not statuses or answer.status_code in statuses, (answer.status_code, answer.text)
        assert "Traceback" not in answer.text
        assert before == door.traces()
        assert not [record for record in caplog.records if record.exc_info]

    return judge
