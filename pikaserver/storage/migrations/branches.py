"""How far the tables of each branch are, told without Alembic, which takes long to load."""

import ast
from collections.abc import Iterable
from importlib.resources import files

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pikaserver.api.storage import Migrations
from pikaserver.storage.code_table import enrollment_code
from pikaserver.storage.device_tables import device
from pikaserver.storage.lockout_table import lockout
from pikaserver.storage.pair_table import pair
from pikaserver.storage.publication_table import publication

# The metadata of all tables is asked of those that stand in modules of their own, so that they
# are there.
_APART = (device, enrollment_code, lockout, pair, publication)
HOST = Migrations("pikaserver", "pikaserver.storage.migrations.versions", _APART[0].metadata)
"""The host's own branch; it is always brought up to date first."""


def version_table(branch: Migrations) -> str:
    """Return the name of the table that holds the branch's revision."""
    return f"{branch.branch.replace('-', '_')}_alembic_version"


def are_current(engine: Engine, plugins: Iterable[Migrations] = ()) -> bool:
    """Tell whether nothing is to be upgraded; in doubt ``False``, and Alembic has to look."""
    try:
        with engine.connect() as connection:
            for branch in (HOST, *plugins):
                statement = f"SELECT version_num FROM {version_table(branch)}"  # noqa: S608 - a name of ours
                if set(connection.exec_driver_sql(statement).scalars()) != _heads(branch):
                    return False
    except (SQLAlchemyError, ModuleNotFoundError):
        return False
    return True


def _heads(branch: Migrations) -> set[str]:
    """Return the revisions of a package that no other one follows."""
    revisions: set[str] = set()
    followed: set[object] = set()
    for file in files(branch.package).iterdir():
        if file.name.endswith(".py"):
            found = _constants(file.read_text(encoding="utf-8"))
            if "revision" in found:
                revisions.add(str(found["revision"]))
                followed.add(found.get("down_revision"))
    return revisions - followed


def _constants(source: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        # Alembic's own template annotates them.
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
                found[target.id] = node.value.value
    return found
