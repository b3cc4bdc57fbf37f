"""What everything stands on before there is a server: settings, plugins, the open database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pikaserver.api.operations import Clock, Entropy, Secrets
from pikaserver.api.signing import KeySealer
from pikaserver.authority.key_policy.lists import KeyList, built_in_key_list, read_key_list
from pikaserver.authority.signers import SignerRegistry
from pikaserver.plugin_manager import Plugins
from pikaserver.plugin_server import PluginServer
from pikaserver.settings.model import HostSettings
from pikaserver.storage.database import EmbeddedOrServer

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on: checked settings, loaded plugins, the open database."""

    settings: HostSettings
    plugin_settings: dict[str, object]
    plugins: Plugins
    database: EmbeddedOrServer
    clock: Clock
    entropy: Entropy
    secrets: Secrets
    key_secrets: Callable[[str], Secrets]
    """By the scheme of a backend, what seals its keys."""


def key_lists(host: HostSettings) -> list[KeyList]:
    """Return the lists of keys that are never certified: ours, and those of the settings."""
    return [built_in_key_list(), *(read_key_list(host.path(one)) for one in host.keys.refused)]


def items(offers: list[tuple[str, Item]]) -> list[Item]:
    """Return what plugins offered, without their names."""
    return [item for _, item in offers]


def signer_registry(ground: Ground, server: PluginServer) -> SignerRegistry:
    """Return the backends of all plugins; those that keep keys are given what seals them."""
    backends = dict(ground.plugins.signer_backends(server))
    for scheme, backend in backends.items():
        if isinstance(backend, KeySealer):
            backend.seal_with(ground.key_secrets(scheme))
    return SignerRegistry(backends)
