"""Binding sockets, with errors that tell an operator what to do."""

import errno
import resource
import socket
import stat
from pathlib import Path

from pikaserver.api.errors import ConfigurationError
from pikaserver.web.limits import Limits

BACKLOG = 1024
UNIX_SOCKET_MODE = 0o660
SPARE_DESCRIPTORS = 256
"""For the database, logs, answers that wait on disk, and other listeners."""

REASONS = {
    errno.EADDRINUSE: "another program listens there already",
    errno.EACCES: "this user may not listen there; ports below 1024 need a permission",
    errno.EADDRNOTAVAIL: "this host has no such address",
}


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a listening socket; a host name stands for its first address.

    Raises:
        ConfigurationError: it cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _refused(f"{host!r}", error) from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # One listener, one family: addresses of callers then look as settings write them.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _refused(f"{host} port {port}", error) from error
    return sock


def bind_unix(path: Path) -> socket.socket:
    """Return a listening Unix socket for this user and group; a stale one is replaced.

    Raises:
        ConfigurationError: it cannot be bound.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(str(path))
        # Nobody can connect before listen, so there is no moment with a wider mode.
        path.chmod(UNIX_SOCKET_MODE)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _refused(str(path), error) from error
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone; anything else stays, and bind fails."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _refused(where: str, error: OSError) -> ConfigurationError:
    why = REASONS.get(error.errno or 0, error.strerror or str(error))
    return ConfigurationError(f"cannot listen at {where}: {why}")


def make_room(limits: Limits) -> None:
    """Let the process have a descriptor for each connection that the limits allow.

    Raises:
        ConfigurationError: the system does not allow so many.
    """
    wanted = limits.connections + limits.refused_connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigurationError(
            f"takes {limits.connections} connections, but the system allows {hard} open files;"
            f" raise LimitNOFILE to {wanted} or take fewer connections"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
