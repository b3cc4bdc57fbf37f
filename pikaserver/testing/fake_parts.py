"""Parts of a server in memory: its database, its audit trail, templates and requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Connection, StaticPool, create_engine

from pikaserver.api.errors import NotFound, StorageUnavailable
from pikaserver.api.issuance import RequestRecord
from pikaserver.api.operations import AuditField
from pikaserver.api.templates import Template
from pikaserver.storage.lockout_table import lockout


class FakeTemplates:
    """See ``pikaserver.api.server.Templates``."""

    def __init__(self) -> None:
        self.records: dict[str, Template] = {}

    def add(self, template: Template) -> None:
        """Store a template, or another version of it."""
        self.records[template.name] = template

    def names(self) -> list[str]:
        """See ``pikaserver.api.server.Templates``."""
        return list(self.records)

    def get(self, name: str) -> Template:
        """See ``pikaserver.api.server.Templates``."""
        if name not in self.records:
            raise NotFound(f"no template {name!r}")
        return self.records[name]


class FakeRequests:
    """See ``pikaserver.api.issuance.Requests``."""

    def __init__(self) -> None:
        self.records: dict[int, RequestRecord] = {}

    def get(self, request_id: int) -> RequestRecord:
        """See ``pikaserver.api.issuance.Requests``."""
        if request_id not in self.records:
            raise NotFound(f"no request {request_id}")
        return self.records[request_id]


class FakeAudit:
    """See ``pikaserver.api.operations.Audit``; ``lines`` are (event, actor, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, AuditField]]] = []

    def record(self, connection: Connection, event: str, actor: str, **fields: AuditField) -> None:
        """See ``pikaserver.api.operations.Audit``."""
        self.lines.append((event, actor, fields))


class FakeDatabase:
    """One SQLite database in memory; see ``pikaserver.api.storage.Database``.

    While there is a ``failure``, nothing is read or stored.
    """

    def __init__(self) -> None:
        # One connection is the whole database, so threads take turns.
        self._engine = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            paramstyle="named",  # as the real ones
        )
        self._turn = Lock()
        # Of the host's own tables, this one is a part of every door.
        lockout.create(self._engine)
        self.failure: StorageUnavailable | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See ``pikaserver.api.storage.Database``."""
        self._fail()
        with self._turn, self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See ``pikaserver.api.storage.Database``."""
        self._fail()
        with self._turn, self._engine.connect() as connection:
            yield connection

    def commits(self) -> None:
        """See ``pikaserver.api.storage.Database``; records of a test change without commits."""

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
