"""Cables between one agent and the nodes that can be cut: nothing is closed, nothing arrives."""

import os
import select
import socket
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from hsm_agent.identity.nodes import read_nodes, write_nodes
from pikaserver.testing.requirements import NEEDS, require_program

_CHUNK = 65536
_NUMBERS = count()


class SwallowingProxy:
    """Carries connections to an address until it is cut; then it takes octets and drops them."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._whole = threading.Event()
        self._whole.set()
        self._closed = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lines = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self):
        """Let nothing through from now on."""
        self._whole.clear()

    def mend(self):
        """Carry new connections again; what was cut stays silent, for its octets are lost."""
        self._whole.set()

    def close(self):
        """End everything."""
        self._closed.set()
        self._listening.close()
        for line in self._lines:
            line.close()

    def _accept(self):
        while not self._closed.is_set():
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            self._lines.append(caller)
            if self._whole.is_set():
                callee = socket.create_connection(self._target)
                self._lines.append(callee)
                threading.Thread(target=self._carry, args=(caller, callee), daemon=True).start()

    def _carry(self, *ends):
        lost = False
        while not self._closed.is_set():
            try:
                ready, _, _ = select.select(ends, [], [], 0.5)
                for end in ready:
                    octets = end.recv(_CHUNK)
                    lost = lost or not self._whole.is_set()
                    if not octets and not lost:
                        return [one.shutdown(socket.SHUT_RDWR) for one in ends]
                    if not octets:
                        return None
                    if not lost:
                        ends[end is ends[0]].sendall(octets)
            except (OSError, ValueError):
                return None
        return None


@contextmanager
def proxied(agent):
    """Let an agent that does not run yet reach each node by a cable of its own."""
    folder = agent.data / "identity"
    nodes = read_nodes(folder)
    proxies = [SwallowingProxy(node.address) for node in nodes]
    write_nodes(
        folder,
        [replace(node, address=one.address) for node, one in zip(nodes, proxies, strict=True)],
    )
    with (agent.data / "agent.toml").open("a") as settings:
        settings.write('[line]\nnodes = "pinned"\n')
    try:
        yield proxies
    finally:
        for proxy in proxies:
            proxy.close()


class Wire:
    """A pair of network interfaces: one end here, the other in a namespace of an agent's own."""

    def __init__(self, process):
        number = os.getpid() % 16000 * 4 + next(_NUMBERS) % 4
        third, fourth = divmod(number * 4, 256)
        self.here = f"198.18.{third % 256}.{fourth + 1}"
        self.there = f"198.18.{third % 256}.{fourth + 2}"
        self.names = (f"pika{number}", f"kapi{number}")
        self.enter = ("nsenter", f"--target={process.pid}", "--net", "--")
        mine, other = self.names
        peer = ("peer", "name", other, "netns", str(process.pid))
        made = _run("ip", "link", "add", mine, "type", "veth", *peer)
        if made.returncode:
            pytest.skip(f"{NEEDS}the right to make network interfaces: {made.stderr.strip()}")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "address", "add", f"{self.there}/30", "dev", other)
        self.mend()
        _checked("ip", "address", "add", f"{self.here}/30", "dev", mine)
        _checked("ip", "link", "set", mine, "up")

    def inside(self, *command):
        """Run a program at the other end."""
        _checked(*self.enter, *command)

    def cut(self):
        """Pull the cable at the agent's end."""
        self.inside("ip", "link", "set", self.names[1], "down")

    def mend(self):
        """Put it back."""
        self.inside("ip", "link", "set", self.names[1], "up")


@contextmanager
def wire():
    """Give a wire to a new network namespace, or skip where that is not allowed."""
    require_program("ip", package="iproute2")
    unshare = require_program("unshare", package="util-linux")
    tried = _run(unshare, "--net", "true")
    if tried.returncode:
        pytest.skip(f"{NEEDS}the right to make network namespaces: {tried.stderr.strip()}")
    with subprocess.Popen(
        [unshare, "--net", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE
    ) as holder:
        try:
            holder.stdout.readline()
            yield Wire(holder)
        finally:
            holder.kill()


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _checked(*command):
    done = _run(*command)
    assert not done.returncode, done.stderr
