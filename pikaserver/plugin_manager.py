"""Find, load and question the enabled plugins; the only user of pluggy's manager.

Hooks run while the server starts and never again.  Each method of `Plugins` asks one hook, in
the configured order, and returns checked objects, each with the name of its plugin.
"""

# A Protocol stands for a kind of answer here; nobody makes an object of it.
# mypy: disable-error-code="type-abstract"

import inspect
import logging
import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TypeVar, cast

import click
import pluggy
from pydantic import BaseModel

from pikaserver import hookspecs
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.hooks import PROJECT
from pikaserver.api.issuance import ExtensionProvider, Lint, Validator
from pikaserver.api.key_inventories import KeyInventory
from pikaserver.api.operations import (
    AuditSink,
    HealthCheck,
    Job,
    Metric,
    Observer,
)
from pikaserver.api.publishing import Publisher
from pikaserver.api.signing import SignerBackend
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Authenticator, Listener, Service, ServiceUrl
from pikaserver.plugin_answers import check_items, check_migrations, unique, wrong_type
from pikaserver.plugin_discovery import find, import_plugin, installed
from pikaserver.plugin_hooks import check_hooks, implementations
from pikaserver.plugin_server import PluginServer

Item = TypeVar("Item")
Offers = list[tuple[str, Item]]
"""What the plugins offered, in order: the plugin's name and the object."""

HOST = "host"
"""The name under which the host's own hooks are asked."""
LONGEST_PUBLISHER = 60

_log = logging.getLogger(__name__)
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


def load(enabled: Sequence[str], *, built_in: Sequence[tuple[str, object]] = ()) -> "Plugins":
    """Import the enabled plugins, no others, and check their hooks.

    Args:
        enabled: names in the order in which the plugins are asked.
        built_in: names and objects of the host's own parts, asked before them.

    Raises:
        ConfigurationError: a plugin is unknown, cannot be imported, or has a faulty hook.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    there = installed()
    plugins = [*built_in, *((name, import_plugin(find(name, there))) for name in enabled)]
    for name, plugin in plugins:
        check_hooks(name, plugin)
        try:
            manager.register(plugin, name=name)
        except ValueError as error:
            raise ConfigurationError(f"the plugin {name!r} is enabled twice") from error
        except pluggy.PluginValidationError as error:
            raise ConfigurationError(f"the plugin {name!r} has a faulty hook: {error}") from error
    return Plugins(manager)


class Plugins:
    """The loaded plugins; one method per hook.

    Every method raises `ConfigurationError` when a hook fails, returns something else than it
    promised, or gives out a name that is taken.
    """

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager
        self._waiting = {hook.plugin_name for hook in self._hooks("startup")}

    @property
    def names(self) -> list[str]:
        """The names of all plugins in the order in which they are asked."""
        return [name for name, _ in self._manager.list_name_plugin()]

    def hooks(self, name: str) -> list[str]:
        """Return which hooks a plugin has."""
        return implementations(self._manager.get_plugin(name))

    def settings_models(self) -> dict[str, type[BaseModel] | None]:
        """Return every plugin's model of ``[plugins.<name>]``, ``None`` where it has none."""
        models: dict[str, type[BaseModel] | None] = dict.fromkeys(self.names)
        for name, model in self._ask("register_settings"):
            if model is not None and not (inspect.isclass(model) and issubclass(model, BaseModel)):
                raise wrong_type(name, "register_settings", model, "a class of BaseModel")
            models[name] = model
        return models

    def commands(self) -> Offers[click.Command]:
        """Return the plugins' commands."""
        commands = self._collect("register_commands", click.Command)
        return unique(commands, lambda command: command.name or "", "command")

    def migrations(self) -> Offers[Migrations]:
        """Return the plugins' database branches; their tables begin with the plugin's name."""
        offers: Offers[Migrations] = []
        for name, branch in self._ask("register_migrations"):
            if branch is None:
                continue
            if not isinstance(branch, Migrations):
                raise wrong_type(name, "register_migrations", branch, "Migrations")
            check_migrations(name, branch)
            offers.append((name, branch))
        return offers

    def signer_backends(self, server: PluginServer) -> list[tuple[str, SignerBackend]]:
        """Return the places where keys live, each with its scheme; each scheme once.

        A backend is asked for its scheme here and never again: a second answer could name what
        seals another one's keys.
        """
        backends = self._collect("register_signer_backends", SignerBackend, server)
        named = [(plugin, (backend.scheme, backend)) for plugin, backend in backends]
        return [one for _, one in unique(named, itemgetter(0), "key-reference scheme")]

    def validators(self, server: PluginServer) -> Offers[Validator]:
        """Return the plugins' policy on requests."""
        return self._collect("register_validators", Validator, server)

    def extension_providers(self, server: PluginServer) -> Offers[ExtensionProvider]:
        """Return the makers of extra extensions."""
        return self._collect("register_extension_providers", ExtensionProvider, server)

    def lints(self, server: PluginServer) -> Offers[Lint]:
        """Return the plugins' checks of unsigned drafts."""
        return self._collect("register_lints", Lint, server)

    def authenticators(self, server: PluginServer) -> Offers[Authenticator]:
        """Return the recognisers of credentials."""
        return self._collect("register_authenticators", Authenticator, server)

    def services(self, server: PluginServer) -> Offers[Service]:
        """Return the doors; each name once, each path once."""
        services = self._collect("register_services", Service, server)
        paths = [(name, route.path) for name, service in services for route in service.routes]
        # Falcon cannot tell /crl/{name} from /crl/{authority} either.
        unique(paths, lambda path: _PLACEHOLDER.sub("{}", path), "path")
        return unique(services, lambda service: service.name, "service")

    def listeners(self, server: PluginServer) -> Offers[Listener]:
        """Return the sockets that do not speak HTTP."""
        return self._collect("register_listeners", Listener, server)

    def service_urls(self, server: PluginServer) -> Offers[ServiceUrl]:
        """Return what the list of service URLs shows."""
        return self._collect("register_service_urls", ServiceUrl, server)

    def publishers(self, server: PluginServer) -> Offers[Publisher]:
        """Return the ways to push fresh CRLs; each name once, and short enough for the database."""
        publishers = self._collect("register_publishers", Publisher, server)
        for plugin, publisher in publishers:
            if not 1 <= len(publisher.name) <= LONGEST_PUBLISHER:
                raise ConfigurationError(
                    f"the plugin {plugin!r} has a publisher {publisher.name!r}; its name should"
                    f" have 1 to {LONGEST_PUBLISHER} characters"
                )
        return unique(publishers, lambda publisher: publisher.name, "publisher")

    def observers(self, server: PluginServer) -> Offers[Observer]:
        """Return those who are told after the deed."""
        return self._collect("register_observers", Observer, server)

    def audit_sinks(self, server: PluginServer) -> Offers[AuditSink]:
        """Return further copies of the audit trail."""
        return self._collect("register_audit_sinks", AuditSink, server)

    def jobs(self, server: PluginServer) -> Offers[Job]:
        """Return periodic work; each name once."""
        return unique(self._collect("register_jobs", Job, server), lambda job: job.name, "job")

    def health_checks(self, server: PluginServer) -> Offers[HealthCheck]:
        """Return the parts of ``/readyz``; each name once."""
        checks = self._collect("register_health_checks", HealthCheck, server)
        return unique(checks, lambda check: check.name, "health check")

    def metrics(self, server: PluginServer) -> Offers[Metric]:
        """Return the metrics; each name once, beginning with ``pikaserver_``."""
        metrics = self._collect("register_metrics", Metric, server)
        for plugin, metric in metrics:
            if not metric.name.startswith("pikaserver_"):
                raise ConfigurationError(
                    f"the plugin {plugin!r} has a metric {metric.name!r};"
                    " its name should begin with 'pikaserver_'"
                )
        return unique(metrics, lambda metric: metric.name, "metric")

    def key_inventories(self, server: PluginServer) -> Offers[KeyInventory]:
        """Return what plugins have keys of their own for; each kind once."""
        found = self._collect("register_key_inventories", KeyInventory, server)
        return unique(found, lambda inventory: inventory.kind, "kind of key inventory")

    def startup(self, server: PluginServer) -> None:
        """Let every plugin do what must be done once; if one fails, undo those before it."""
        try:
            for name, _ in self._ask("startup", server):
                self._waiting.discard(name)
        except ConfigurationError:
            self.shutdown(server)
            raise

    def shutdown(self, server: PluginServer) -> None:
        """Let every plugin that started undo it, the last one first; errors are logged."""
        for hook in reversed(self._hooks("shutdown")):
            if hook.plugin_name in self._waiting:
                continue
            self._waiting.add(hook.plugin_name)
            try:
                _call(hook, server)
            except ConfigurationError:
                _log.exception("plugin shutdown failed", extra={"plugin": hook.plugin_name})

    def _collect(self, hook: str, kind: type[Item], *server: PluginServer) -> Offers[Item]:
        """Ask one hook for many objects of a kind."""
        return [
            (name, item)
            for name, answer in self._ask(hook, *server)
            for item in cast("list[Item]", check_items(name, hook, answer, kind))
        ]

    def _ask(self, hook: str, *server: PluginServer) -> Iterator[tuple[str, object]]:
        for implementation in self._hooks(hook):
            yield implementation.plugin_name, _call(implementation, *server)

    def _hooks(self, hook: str) -> list[pluggy.HookImpl]:
        """Return who implements a hook, in the order of registration.

        We call them one by one ourselves: pluggy would call the newest first, drop ``None``
        and not tell whose answer is whose.
        """
        return cast("pluggy.HookCaller", getattr(self._manager.hook, hook)).get_hookimpls()


def _call(hook: pluggy.HookImpl, *server: PluginServer) -> object:
    """Call one plugin's hook; every argument that it may take is the server."""
    name = hook.function.__name__
    try:
        answer = hook.function(*server[: len(hook.argnames)])
        # A generator does its work, and may fail, only when it is read.
        return list(answer) if isinstance(answer, Iterator) else answer
    except ConfigurationError as error:
        if hook.plugin_name == HOST:
            raise  # operators did not enable it and need not know that it is one
        raise ConfigurationError(f"the plugin {hook.plugin_name!r}: {error}") from error
    except Exception as error:
        raise ConfigurationError(
            f"the plugin {hook.plugin_name!r} failed in {name}: {type(error).__name__}: {error}"
        ) from error
