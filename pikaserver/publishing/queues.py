"""The queues of a server's publishers, for serving and for commands."""

from datetime import timedelta

from pikaserver.ground import items
from pikaserver.publishing.ground import Ground, Patience
from pikaserver.publishing.queue import TargetQueue
from pikaserver.server import PkiServer


def open_queues(server: PkiServer, holder: str) -> tuple[list[TargetQueue], Ground]:
    """Return the queue of each publisher, and what they stand on.

    Raises:
        ConfigurationError: a plugin refuses its settings.
    """
    settings = server.host.publishing
    patience = Patience(
        timedelta(seconds=settings.first_retry_seconds),
        timedelta(seconds=settings.longest_retry_seconds),
        settings.alarm_after,
    )
    ground = Ground(
        database=server.database,
        authorities=server.authorities,
        crls=server.crls,
        events=server.events,
        clock=server.clock,
        entropy=server.entropy,
        node=server.node,
        holder=holder,
        patience=patience,
    )
    publishers = items(server.plugins.publishers(server.for_plugins))
    return [TargetQueue(publisher, ground) for publisher in publishers], ground
