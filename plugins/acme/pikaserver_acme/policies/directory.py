"""Policies: found by name, and changed with a line in the audit trail."""

from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server
from pikaserver_acme.moments import stored
from pikaserver_acme.policies.rules import PolicyRules
from pikaserver_acme.records import Policy
from pikaserver_acme.storage import policies as storage


class Policies:
    """The policies of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def get(self, name: str) -> Policy:
        """Return a policy, open or closed.

        Raises:
            NotFound: there is none of that name.
        """
        with self._server.database.reading() as connection:
            found = storage.find(connection, name)
        if found is None:
            raise NotFound(f"there is no ACME policy {name!r}")
        return found

    def all(self) -> list[Policy]:
        """Return all of them, by name."""
        with self._server.database.reading() as connection:
            return storage.list_all(connection)

    def put(self, name: str, rules: PolicyRules, actor: str) -> Policy:
        """Store a policy, new or in place of the one of that name.

        Raises:
            NotFound: it names a template that is not there.
        """
        for template in (rules.template, *(one.template for one in rules.profiles.values())):
            self._server.templates.get(template)
        with self._server.database.transaction() as connection:
            storage.put(connection, name, rules, stored(self._server.clock()), actor)
            self._server.audit.record(
                connection,
                "acme.policy-changed",
                actor,
                policy=name,
                rules=rules.model_dump_json(by_alias=True, exclude_defaults=True),
            )
        return self.get(name)

    def set_enabled(self, name: str, actor: str, *, enabled: bool) -> Policy:
        """Open or close a directory.

        Raises:
            NotFound: there is none of that name.
        """
        with self._server.database.transaction() as connection:
            now = stored(self._server.clock())
            if not storage.set_enabled(connection, name, now, actor, enabled=enabled):
                raise NotFound(f"there is no ACME policy {name!r}")
            event = "acme.policy-enabled" if enabled else "acme.policy-disabled"
            self._server.audit.record(connection, event, actor, policy=name)
        return self.get(name)
