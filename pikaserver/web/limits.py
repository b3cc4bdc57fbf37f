"""What one listener takes at most: octets, connections, seconds, threads."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pikaserver.api.web import Service

HEADER_LIMIT_OCTETS = 16 * 1024
TARGET_LIMIT_OCTETS = 8 * 1024
HEADER_LIMIT_LINES = 100
BODY_LIMIT_OCTETS = 64 * 1024

CONNECTIONS = 1000
CONNECTIONS_PER_ADDRESS = 50
REFUSED_CONNECTIONS = 100
"""So many above the limits are heard and told 503; those beyond are closed at once."""
IPV6_SITE_BITS = 64
"""One IPv6 site owns 2^64 addresses, so connections are counted per site."""

HANDSHAKE_SECONDS = 10.0
HEAD_SECONDS = 10.0
REQUEST_SECONDS = 30.0
IDLE_SECONDS = 60.0
STALLED_ANSWER_SECONDS = 30.0
ANSWER_SECONDS = 600.0
LINGER_SECONDS = 2.0
"""How long the rest of a refused request is thrown away, so that its sender reads our answer."""

WORKERS = 8
WAITING_REQUESTS = 200
"""Requests that may wait for a worker; the next one gets 503."""
RETRY_AFTER_SECONDS = 5

ROUND_SECONDS = 1.0
"""How often overdue connections and new certificates are looked for."""
HEALTH_CHECK_SECONDS = 2.0
HEALTH_CACHE_SECONDS = 1.0
HEALTH_FAILING_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one listener; the constants above are the defaults."""

    header_octets: int = HEADER_LIMIT_OCTETS
    target_octets: int = TARGET_LIMIT_OCTETS
    body_octets: int = BODY_LIMIT_OCTETS
    connections: int = CONNECTIONS
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    refused_connections: int = REFUSED_CONNECTIONS
    handshake_seconds: float = HANDSHAKE_SECONDS
    head_seconds: float = HEAD_SECONDS
    request_seconds: float = REQUEST_SECONDS
    idle_seconds: float = IDLE_SECONDS
    stalled_answer_seconds: float = STALLED_ANSWER_SECONDS
    answer_seconds: float = ANSWER_SECONDS
    linger_seconds: float = LINGER_SECONDS
    workers: int = WORKERS
    waiting_requests: int = WAITING_REQUESTS
    round_seconds: float = ROUND_SECONDS

    def serving(self, services: Iterable[Service]) -> "Limits":
        """Return these limits with a body as large as the most patient service takes.

        The listener reads no more than that; the application holds each service's own limit.
        """
        return replace(self, body_octets=max((s.body_limit_octets for s in services), default=0))
