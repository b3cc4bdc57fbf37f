"""Count who came by: hooks and settings."""

import click
from pydantic import BaseModel, Field

from pikaserver.api.hooks import hookimpl
from pikaserver.api.server import Server
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service
from pikaserver_visits.commands import visits
from pikaserver_visits.resources import Visits
from pikaserver_visits.storage import metadata


class VisitSettings(BaseModel, frozen=True):
    """``[plugins.visits]``."""

    greeting: str = "Hello"
    most_visits: int = Field(default=1000, ge=1)


@hookimpl
def register_settings() -> type[BaseModel]:
    """Name our settings; ``most_visits`` is written ``most-visits``."""
    return VisitSettings


@hookimpl
def register_migrations() -> Migrations:
    """Name our revisions; branch and tables are called after the plugin."""
    return Migrations("visits", "pikaserver_visits.migrations", metadata)


@hookimpl
def register_commands() -> list[click.Command]:
    """Offer ``visits list`` and ``visits forget``."""
    return [visits]


@hookimpl
def register_services(server: Server) -> list[Service]:
    """Offer the one route; errors go out as problem+json."""
    settings = server.settings(VisitSettings)
    resource = Visits(server.database, settings.greeting, settings.most_visits)
    return [Service("visits", Security.TLS, [Route("/visits/{name}", resource)])]
