"""A throw-away PostgreSQL cluster for tests and benchmarks: no port, no root, no trace."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from sqlalchemy import NullPool, create_engine, text

_DEBIAN = Path("/usr/lib/postgresql")
_SERVER_USERS = ("postgres", "nobody")
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_EMPTY_TABLES = """
DO $$ BEGIN
  EXECUTE (
    SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') || ' RESTART IDENTITY CASCADE'
    FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT LIKE '%\\_alembic\\_version'
  );
END $$
"""


class PostgresMissing(Exception):
    """The server or its driver is not installed; the text names the packages."""


class PostgresCluster:
    """A running cluster that listens on a Unix socket in its own folder."""

    def __init__(self, binaries: Path, folder: Path, options: tuple[str, ...]) -> None:
        self._binaries = binaries
        self._folder = folder
        self._options = options
        self._user = _server_user()
        self._numbers = count(1)

    def initialise(self) -> None:
        """Create the files of the cluster."""
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._run(
            "initdb", "--auth=trust", "--username=pikaserver", "--encoding=UTF8", "--locale=C",
            "--no-sync", "--no-instructions", f"--pgdata={self._folder / 'data'}",
        )  # fmt: skip

    def start(self) -> None:
        """Start the server and return when it answers."""
        settings = ("listen_addresses=", f"unix_socket_directories={self._folder}", *self._options)
        arguments = " ".join(f"-c {setting}" for setting in settings)
        self._control("start", "-o", arguments, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """End the server and every connection at once."""
        self._control("stop", "-m", "immediate")

    def create_database(self) -> str:
        """Make an empty database and return its name; ``clear`` is cheaper than another one."""
        name = f"test_{next(self._numbers)}"
        self._run("createdb", f"--host={self._folder}", "--username=pikaserver", name)
        return name

    def clear(self, name: str) -> None:
        """End all connections to a database and empty its tables, all but the revisions'."""
        self._alone(name, _EMPTY_TABLES)

    def drop_tables(self, name: str) -> None:
        """End all connections to a database and drop its tables."""
        self._alone(name, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def url(self, name: str) -> str:
        """Return how SQLAlchemy reaches a database of this cluster."""
        return f"postgresql+psycopg://pikaserver@/{name}?host={self._folder}"

    def _alone(self, name: str, statements: str) -> None:
        engine = create_engine(self.url(name), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(_END_OTHERS))
            connection.execute(text(statements))

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "--wait", "--silent", f"--pgdata={self._folder / 'data'}", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        user = self._user
        subprocess.run(  # noqa: S603 - our own arguments, no shell
            [self._binaries / program, *arguments],
            check=True,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            # The server would keep a pipe open; what it says is in its log.
            stdout=subprocess.DEVNULL,
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=user and [],
        )


@contextmanager
def postgres_cluster(*, durable: bool = False) -> Iterator[PostgresCluster]:
    """Run a cluster in a temporary folder; it is stopped and removed at the end.

    Args:
        durable: flush to the disk as in production; needed for measurements only.

    Raises:
        PostgresMissing: PostgreSQL is not installed.
    """
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="pikaserver-pg-"))
    cluster = PostgresCluster(binaries, folder, () if durable else _FAST)
    try:
        cluster.initialise()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Find the newest server, on the path or where Debian keeps it."""
    if find_spec("psycopg") is None:
        raise PostgresMissing("psycopg is not installed: pip install 'pikaserver[postgres]'")
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise PostgresMissing(
            "PostgreSQL's server is not installed: apt install postgresql (Debian, Ubuntu) "
            "or dnf install postgresql-server (Fedora)"
        )
    return versions[-1].parent


def _server_user() -> pwd.struct_passwd | None:
    """Return whom the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in _SERVER_USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing(f"PostgreSQL refuses root; none of {_SERVER_USERS} exists here")
