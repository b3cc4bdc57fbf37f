"""Templates: every version that was ever saved, and which one is current."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from pikaserver.api.errors import NotFound
from pikaserver.storage.tables import template, template_version


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """One version of a template; ``document`` is TOML as the operator wrote it."""

    id: int
    name: str
    version: int
    enabled: bool
    document: str


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """Who saved which version, and when."""

    version: int
    created_at: datetime
    created_by: str


_ROW = (
    select(
        template.c.id,
        template.c.name,
        template_version.c.version,
        template.c.enabled,
        template_version.c.document,
    )
    .join_from(template, template_version, template_version.c.template_id == template.c.id)
    .where(template.c.name == bindparam("of_name"))
)
_CURRENT = _ROW.where(template_version.c.version == template.c.current_version)
_VERSION = _ROW.where(template_version.c.version == bindparam("of_version"))
_NAMES = select(template.c.name).order_by(template.c.name)
_HISTORY = (
    select(template_version.c.version, template_version.c.created_at, template_version.c.created_by)
    .join_from(template_version, template, template.c.id == template_version.c.template_id)
    .where(template.c.name == bindparam("of_name"))
    .order_by(template_version.c.version.desc())
)
_INSERT = insert(template).values(current_version=1, enabled=True).returning(template.c.id)
_ENABLE = (
    update(template)
    .where(template.c.name == bindparam("of_name"))
    .values(enabled=bindparam("switch"))
)


def get(connection: Connection, name: str, version: int | None = None) -> TemplateRow:
    """Return a version of a template, by default the current one.

    Raises:
        NotFound: no such template, or it never had this version.
    """
    statement = _CURRENT if version is None else _VERSION
    row = connection.execute(statement, {"of_name": name, "of_version": version}).one_or_none()
    if row is None:
        raise NotFound(f"there is no template {name!r}" + (f" {version}" if version else ""))
    return TemplateRow(*row)


def names(connection: Connection) -> list[str]:
    """Return the names of all templates in alphabetical order."""
    return list(connection.execute(_NAMES).scalars())


def versions(connection: Connection, name: str) -> list[TemplateVersion]:
    """Return the history of a template, newest first.

    Raises:
        NotFound: no such template.
    """
    found = [TemplateVersion(*row) for row in connection.execute(_HISTORY, {"of_name": name})]
    if not found:
        raise NotFound(f"there is no template {name!r}")
    return found


def save(connection: Connection, name: str, document: str, *, at: datetime, by: str) -> int:
    """Store a new version, make it current and return its number; a new template is enabled.

    A document that is the current one to the letter makes no new version.
    """
    known = _lock(connection, name)
    if known is None:
        template_id, version = connection.execute(_INSERT, {"name": name}).scalar_one(), 1
    else:
        current = get(connection, name)
        if current.document == document:
            return current.version
        template_id, version = known.id, known.current_version + 1
        connection.execute(
            update(template).where(template.c.id == template_id).values(current_version=version)
        )
    connection.execute(
        insert(template_version).values(
            template_id=template_id,
            version=version,
            document=document,
            created_at=at,
            created_by=by,
        )
    )
    return version


def set_enabled(connection: Connection, name: str, *, enabled: bool) -> None:
    """Open or close a template at all doors at once.

    Raises:
        NotFound: no such template.
    """
    if not connection.execute(_ENABLE, {"of_name": name, "switch": enabled}).rowcount:
        raise NotFound(f"there is no template {name!r}")


def _lock(connection: Connection, name: str) -> Row[int, int] | None:
    """Hold the template, so that two nodes do not number the same version."""
    return connection.execute(
        select(template.c.id, template.c.current_version)
        .where(template.c.name == name)
        .with_for_update()
    ).one_or_none()
