"""The templates as the rest of the house sees them: read once, kept until one changes."""

from dataclasses import replace

from sqlalchemy import Connection

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver.api.templates import Template
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.preparation import TemplateVersion
from pikaserver.authority.templates.documents import read_template
from pikaserver.storage import revisions
from pikaserver.storage import templates as storage

_REFUSED = "refused"


class TemplateDirectory:
    """Implements ``pikaserver.api.server.Templates`` and changes templates by new versions."""

    def __init__(self, database: Database, audit: AuditTrail, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._cached: tuple[int, dict[str, TemplateVersion]] | None = None

    def names(self) -> list[str]:
        """See the protocol."""
        with self._database.reading() as connection:
            return storage.names(connection)

    def get(self, name: str) -> Template:
        """See the protocol."""
        return self.version(name).template

    def version(self, name: str, number: int | None = None) -> TemplateVersion:
        """Return a version of a template, by default the newest.

        Raises:
            NotFound: no such template or version.
        """
        with self._database.reading() as connection:
            return self.version_in(connection, name, number)

    def version_in(
        self, connection: Connection, name: str, number: int | None = None
    ) -> TemplateVersion:
        """Return a version as this connection sees it."""
        revision = revisions.number(connection)
        cached = self._cached
        if cached is None or cached[0] != revision:
            cached = self._cached = (revision, {})
        if number is None and name in cached[1]:
            return cached[1][name]
        row = storage.get(connection, name, number)
        template = read_template(row.document, name=row.name, version=row.version)
        # The switch counts today, whatever version is asked for.
        template = replace(template, enabled=template.enabled and row.enabled)
        found = TemplateVersion(row.id, template)
        if number is None:
            cached[1][name] = found
        return found

    def document(self, name: str, number: int | None = None) -> str:
        """Return the TOML of a version as the operator wrote it."""
        with self._database.reading() as connection:
            return storage.get(connection, name, number).document

    def save(self, name: str, document: str, actor: str) -> int:
        """Store a new version of a template, or its first, and return its number.

        Raises:
            RequestRejected: the document breaks a rule; the text names the key.
        """
        self._check_pair(read_template(document, name=name, version=1))
        with self._database.transaction() as connection:
            number = storage.save(connection, name, document, at=self._clock(), by=actor)
            revisions.advance(connection)
            self._audit.record(connection, "template.saved", actor, template=name, version=number)
        return number

    def _check_pair(self, template: Template) -> None:
        """Return when the template of the second certificate is there, and lets itself be bound."""
        name = template.related.pair
        if name is None:
            return
        other = template
        if name != template.name:
            if not self.exists(name):
                raise RequestRejected(f"related.pair: there is no template {name!r}")
            other = self.get(name)
        if other.related.mode == _REFUSED:
            raise RequestRejected(
                f"related.pair: template {name!r} binds no certificates to others; its"
                " related.mode is to be allowed or required"
            )
        if other.related.templates and template.name not in other.related.templates:
            raise RequestRejected(
                f"related.pair: related.templates of {name!r} does not name {template.name!r}"
            )

    def set_enabled(self, name: str, actor: str, *, enabled: bool) -> None:
        """Open or close a template at all doors at once."""
        with self._database.transaction() as connection:
            storage.set_enabled(connection, name, enabled=enabled)
            revisions.advance(connection)
            word = "enabled" if enabled else "disabled"
            self._audit.record(connection, f"template.{word}", actor, template=name)

    def versions(self, name: str) -> list[storage.TemplateVersion]:
        """Return the history of a template, newest first."""
        with self._database.reading() as connection:
            return storage.versions(connection, name)

    def exists(self, name: str) -> bool:
        """Tell whether there is such a template."""
        with self._database.reading() as connection:
            try:
                storage.get(connection, name)
            except NotFound:
                return False
        return True
