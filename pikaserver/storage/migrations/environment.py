"""Bring the schema up to date: the host's branch, then each plugin's.

Each branch counts its revisions in a table of its own, so that a plugin that was switched
off, or removed, stands in nobody's way.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.storage import Migrations
from pikaserver.storage.faults import unavailable
from pikaserver.storage.migrations.branches import HOST, version_table

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(:key)")
_LOCK_KEY = zlib.crc32(b"pikaserver migrations")


@dataclass(frozen=True, slots=True)
class BranchState:
    """Which revision the database has, and which one the program wants."""

    branch: str
    current: str | None
    wanted: str

    @property
    def up_to_date(self) -> bool:
        """Whether nothing is left to do."""
        return self.current == self.wanted


def upgrade(engine: Engine, plugins: Sequence[Migrations] = ()) -> None:
    """Create or upgrade the tables of the host and of the plugins, all or nothing.

    Raises:
        ConfigurationError: the database is newer than the program, or a plugin's branch is
            not in order; nothing was changed.
        StorageUnavailable: the database cannot be changed now.
    """
    with _exclusive(engine) as connection:
        late = [one for one in (HOST, *plugins) if not _state(connection, one).up_to_date]
        for branch in late:
            _check_prefix(branch, branch.metadata.tables)
            _upgrade(connection, branch)
        if late:
            _check_references(connection)


def state(engine: Engine, plugins: Sequence[Migrations] = ()) -> tuple[BranchState, ...]:
    """Tell how far each branch is.

    Raises:
        ConfigurationError: the database is newer than the program.
        StorageUnavailable: the database cannot be read.
    """
    try:
        with engine.connect() as connection:
            return tuple(_state(connection, branch) for branch in (HOST, *plugins))
    except SQLAlchemyError as error:
        raise unavailable(error) or error from error


@contextmanager
def _exclusive(engine: Engine) -> Iterator[Connection]:
    """Open one transaction for all changes; another process that starts waits for its end."""
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                # Rebuilding a table would trip over its references; they are checked below.
                connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
            with connection.begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(_ONE_AT_A_TIME, {"key": _LOCK_KEY})
                yield connection
    except SQLAlchemyError as error:
        raise unavailable(error) or error from error


def _check_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise ConfigurationError(f"a migration would break references of table {broken[0]!r}")


def _upgrade(connection: Connection, branch: Migrations) -> None:
    before = set(inspect(connection).get_table_names())
    config = _config(branch)
    config.attributes["configure"] = {
        "connection": connection,
        "target_metadata": branch.metadata,
        "version_table": version_table(branch),
    }
    command.upgrade(config, "head")
    if branch is not HOST:
        _check_prefix(branch, set(inspect(connection).get_table_names()) - before)


def _state(connection: Connection, branch: Migrations) -> BranchState:
    script = _script(branch)
    wanted = script.get_heads()[0]
    context = MigrationContext.configure(connection, opts={"version_table": version_table(branch)})
    current = context.get_current_revision()
    if current is not None:
        try:
            script.get_revision(current)
        except CommandError as error:
            raise ConfigurationError(
                f"the database is newer than this program: the tables of {branch.branch!r} are "
                f"at revision {current!r}, known are those up to {wanted!r}; install the newer "
                "version, or restore a backup"
            ) from error
    return BranchState(branch.branch, current, wanted)


def _script(branch: Migrations) -> ScriptDirectory:
    """Read the revisions and check that they are one line that carries the branch's name."""
    script = ScriptDirectory.from_config(_config(branch))
    bases, heads = script.get_bases(), script.get_heads()
    if len(bases) != 1 or len(heads) != 1:
        raise ConfigurationError(f"{branch.package} must hold one line of revisions")
    first = script.get_revision(bases[0])
    if branch.branch not in first.branch_labels:
        raise ConfigurationError(
            f"the first revision in {branch.package} must set branch_labels = ({branch.branch!r},)"
        )
    return script


def _config(branch: Migrations) -> Config:
    try:
        versions = files(branch.package)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{branch.package} with the revisions is missing") from error
    config = Config()
    options = {
        "script_location": files("pikaserver.storage.migrations"),
        "version_locations": versions,
        "path_separator": "newline",
    }
    for name, value in options.items():
        config.set_main_option(name, str(value).replace("%", "%%"))
    return config


def _check_prefix(branch: Migrations, names: Iterable[str]) -> None:
    """Keep plugins apart: two of them, or a plugin and the host, cannot want one table."""
    if branch is HOST:
        return
    own = branch.branch.replace("-", "_")
    for name in names:
        if name != own and not name.startswith(f"{own}_"):
            raise ConfigurationError(
                f"table {name!r} of plugin {branch.branch!r} must be called {own}_..."
            )
