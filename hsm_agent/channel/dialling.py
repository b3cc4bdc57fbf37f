"""TCP connections to nodes, straight or through an HTTP proxy."""

import base64
import socket
from collections.abc import Sequence
from pathlib import Path

from hsm_agent.channel.faults import NotReached
from hsm_agent.identity.nodes import host_and_port
from hsm_agent.private_files import read_private
from hsm_agent.settings.settings import Proxy

UNACKNOWLEDGED_MS = 5000
"""After so long without an acknowledgement the kernel gives a connection up."""
LONGEST_ANSWER = 16 * 1024
_DONE = b"\r\n\r\n"


def dial(address: str, timeout: float, proxy: Proxy | None = None) -> socket.socket:
    """Return a connected socket with this timeout (seconds); ``address`` is ``host:port``.

    Raises:
        NotReached: nobody answers, or the proxy does not let us through.
    """
    target = host_and_port(address)
    if target is None:
        raise NotReached(f"{address!r} is not HOST:PORT")
    first = target if proxy is None else (proxy.host, proxy.port)
    try:
        line = socket.create_connection(first, timeout)
    except OSError as error:
        where = f"{first[0]} port {first[1]}"
        raise NotReached(f"cannot connect to {where}: {error.strerror or error}") from error
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if proxy is not None:
            _pass_through(line, target, proxy)
    except OSError as error:
        line.close()
        raise NotReached(f"{address}: {error.strerror or error}") from error
    except Exception:
        line.close()
        raise
    return line


def _pass_through(line: socket.socket, target: tuple[str, int], proxy: Proxy) -> None:
    """Ask a proxy for the connection (RFC 9110 section 9.3.6)."""
    host, port = target
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *_authorization(proxy)]
    line.sendall("\r\n".join(request).encode() + _DONE)
    status = _answer(line).split(b" ", 2)
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].startswith(b"2"):  # noqa: PLR2004 - version and code
        said = b" ".join(status)[:80].decode("latin-1")
        raise NotReached(f"the proxy {proxy.host} port {proxy.port} said {said!r}")


def _answer(line: socket.socket) -> bytes:
    """Return the status line; exactly the proxy's answer is read, what follows is the node's."""
    answer = bytearray()
    while not answer.endswith(_DONE):
        octet = line.recv(1)
        if not octet or len(answer) == LONGEST_ANSWER:
            raise NotReached("the proxy gave no proper answer")
        answer += octet
    return bytes(answer).split(b"\r\n", 1)[0]


def _authorization(proxy: Proxy) -> Sequence[str]:
    if not proxy.user:
        return []
    password = b""
    if proxy.password_file:
        password = read_private(Path(proxy.password_file)).strip()
    token = base64.b64encode(proxy.user.encode() + b":" + password).decode()
    return [f"Proxy-Authorization: Basic {token}"]
