"""The signing agents: hooks and settings."""

import click
from pydantic import BaseModel

from pikaserver.api.hooks import hookimpl
from pikaserver.api.key_inventories import KeyInventory
from pikaserver.api.operations import HealthCheck, Metric
from pikaserver.api.server import Server
from pikaserver.api.signing import SignerBackend
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Listener
from pikaserver_agents.channel_keys import ChannelKeys
from pikaserver_agents.commands.group import agent
from pikaserver_agents.office import office_of
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.tables import metadata
from pikaserver_agents.watching import Watch


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return AgentSettings


@hookimpl
def register_migrations() -> Migrations:
    """Name our revisions."""
    return Migrations("agents", "pikaserver_agents.migrations", metadata)


@hookimpl
def register_signer_backends(server: Server) -> list[SignerBackend]:
    """Offer the keys of all agents, as ``agent:NAME/LABEL``."""
    return [office_of(server).backend]


@hookimpl
def register_listeners(server: Server) -> list[Listener]:
    """Offer the socket that agents dial."""
    return [office_of(server).listener]


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``pikaserver agent``."""
    return [agent]


@hookimpl
def register_health_checks(server: Server) -> list[HealthCheck]:
    """Tell which agents that serve an authority are away."""
    return [HealthCheck("agents", Watch(office_of(server)).health)]


@hookimpl
def register_metrics(server: Server) -> list[Metric]:
    """Count what agents do."""
    return Watch(office_of(server)).metrics()


@hookimpl
def register_key_inventories(server: Server) -> list[KeyInventory]:
    """Tell of the keys of the channel."""
    return [ChannelKeys(office_of(server))]
