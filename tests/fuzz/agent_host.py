"""A whole agent in a folder, for what its own host hands to it: files, callers on its socket."""

import atexit
import json
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest.mock import patch

from hsm_agent import clock
from hsm_agent.agent import open_agent
from hsm_agent.channel import dialling
from hsm_agent.control import client
from hsm_agent.control.deeds import Deeds
from hsm_agent.control.server import ControlServer
from hsm_agent.identity.enrollment import prepare
from hsm_agent.identity.identity import make_identity
from hsm_agent.identity.nodes import write_nodes
from hsm_agent.places import Place
from hsm_agent.policy.starter import starter
from hsm_agent.settings.settings import Proxy
from hsm_agent.settings.text import FirstSettings
from tests.fuzz.agent_end import NODE
from tests.fuzz.line_end import watched


class AgentHost:
    """An agent that answers on its control socket."""

    def __init__(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.place = place = Place(folder)
        prepare(place, FirstSettings("vault-a", "soft", "software"), starter("vault-a"))
        make_identity(place.identity, "vault-a", clock.now(), clock.entropy)
        write_nodes(place.identity, [NODE])
        agent = open_agent(place)
        stack.callback(agent.close)
        agent.keyring.refresh()
        self.deeds = Deeds(agent)
        server = ControlServer(place.socket, self.deeds.do)
        stack.callback(server.close)

    def call(self, octets: bytes) -> None:
        """Say octets on the control socket.

        Raises:
            AssertionError: the answer is none of the protocol.
            LoggedFault: a deed failed in a way that nobody foresaw.
        """
        with watched("hsm_agent"), socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(60)
            caller.connect(str(self.place.socket))
            try:
                caller.sendall(octets)
                caller.shutdown(socket.SHUT_WR)
                with caller.makefile("rb") as stream:
                    answer = stream.read()
            except (BrokenPipeError, ConnectionResetError):
                # It answers the first line and hangs up on whoever says more.
                assert b"\n" in octets[:-1]
                return
        if not octets:
            assert not answer
            return
        told = json.loads(answer)
        assert told.keys() in ({"done"}, {"why", "code"})


@cache
def agent_host() -> AgentHost:
    """Return an agent that lives as long as the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return AgentHost(stack)


@cache
def folder() -> Path:
    """Return a folder that lives as long as the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


def private_file(name: str, octets: bytes) -> Path:
    """Write a file that is its owner's alone, not as safely as the agent does."""
    path = folder() / name
    path.parent.mkdir(exist_ok=True)
    path.touch(0o600)
    path.write_bytes(octets)
    return path


def from_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return what reads octets as the content of a file."""
    return lambda octets: read(private_file(name, octets))


def answered(octets: bytes) -> object:
    """Hear octets as a command does that asked the running agent."""
    ours, theirs = socket.socketpair()
    with theirs, patch.object(client, "connect", lambda _: ours):
        theirs.sendall(octets)
        theirs.shutdown(socket.SHUT_WR)
        return client.AgentRuns(folder()).do("status")


class _ProxyLine:
    """Stands in for the connection to a proxy."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def recv(self, count: int) -> bytes:
        """Return the next octets."""
        taken, self._octets = self._octets[:count], self._octets[count:]
        return taken

    def nothing(self, *_: object) -> None:
        """Stand for what matters to sockets only."""

    setsockopt = sendall = close = nothing


def passed(octets: bytes) -> object:
    """Hear octets as the answer of a proxy."""
    with patch.object(dialling.socket, "create_connection", lambda *_: _ProxyLine(octets)):
        return dialling.dial("pki.example.com:8444", 1, Proxy("proxy.example.com", 3128))
