"""Open a server's data: plugins, database, keys; listeners are another matter."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pikaserver import plugin_manager
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Clock, Entropy
from pikaserver.api.storage import Migrations
from pikaserver.clock import system_clock, system_entropy
from pikaserver.ground import Ground
from pikaserver.host_plugin import HostPlugin, key_encryption_key
from pikaserver.plugin_discovery import installed
from pikaserver.secrecy import forbid_core_dumps
from pikaserver.server import PkiServer
from pikaserver.settings.loading import FILE_NAME, Settings
from pikaserver.signing.sealed_secrets import SealedSecrets, key_realm
from pikaserver.storage.database import EmbeddedOrServer, open_database
from pikaserver.storage.migrations.branches import are_current
from pikaserver.storage.migrations.environment import upgrade


@contextmanager
def open_server(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    clock: Clock = system_clock,
    entropy: Entropy = system_entropy,
) -> Iterator[PkiServer]:
    """Give a server that can do every deed, and close it again.

    Raises:
        ConfigurationError: a plugin, a setting or the database stops the start.
    """
    forbid_core_dumps()
    host = settings.host
    check_set_up(settings)
    database = open_database(host.database.url)
    try:
        kek = key_encryption_key(settings, environment)
        own = HostPlugin(kek, host.keys.allow_draft_algorithms)
        plugins = plugin_manager.load(host.plugins.enabled, built_in=[(plugin_manager.HOST, own)])
        _upgrade(database, [branch for _, branch in plugins.migrations()])
        names = {plugin.name for plugin in installed()}
        ground = Ground(
            settings=host,
            plugin_settings=dict(settings.of_plugins(plugins.settings_models(), names)),
            plugins=plugins,
            database=database,
            clock=clock,
            entropy=entropy,
            secrets=SealedSecrets(kek, entropy),
            key_secrets=lambda scheme: SealedSecrets(kek, entropy, key_realm(scheme)),
        )
        yield PkiServer(ground)
    finally:
        database.close()


def _upgrade(database: EmbeddedOrServer, branches: Sequence[Migrations]) -> None:
    if are_current(database.engine, branches):
        return
    # Loading Alembic takes longer than most commands of the CLI.

    upgrade(database.engine, branches)


def check_set_up(settings: Settings) -> None:
    """Refuse to work on a folder in which 'pikaserver up' has not been yet.

    Raises:
        ConfigurationError: the sentence says what to do.
    """
    directory = settings.host.data.directory
    if settings.host.plugins.enabled:
        return
    if (directory / FILE_NAME).exists():
        raise ConfigurationError(
            f"plugins.enabled in {directory / FILE_NAME} names no plugin; to let 'pikaserver up'"
            f" write that file, keep settings of your own in {directory / 'conf.d'}"
        )
    raise ConfigurationError(f"nothing is set up in {directory} yet: 'pikaserver up' does that")
