"""``hsm-agent run`` in a process of its own, on a folder that a test server knows."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from hsm_agent import clock
from hsm_agent.identity.identity import make_identity
from hsm_agent.identity.nodes import write_nodes
from hsm_agent.policy.starter import starter

ROOT = Path(__file__).parents[2]
SECONDS = 30


def make_agent(data, server, *, settings="", name="vault-a"):
    """Write the folder of an enrolled agent that the server knows; return its identity."""
    identity = make_identity(data / "identity", name, clock.now(), clock.entropy)
    server.know(identity.certificate, identity.frame_public)
    write_nodes(data / "identity", [server.node()])
    text = f'name = "{name}"\n[stores.trial]\nkind = "software"\n{settings}'
    (data / "agent.toml").write_text(text)
    (data / "policy.toml").write_text(starter(name, dns=["example.com"]))
    return identity


class AgentProcess:
    """A running agent; ``words`` are what it told the service manager."""

    def __init__(self, data, folder):
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.settimeout(SECONDS)
        self._notify.bind(f"\0hsm-agent-test-{os.getpid()}-{id(self)}")
        self.log = folder / f"{data.name}.log"
        self._log = self.log.open("wb")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NOTIFY_SOCKET": f"@hsm-agent-test-{os.getpid()}-{id(self)}",
            "PYTHONWARNINGS": "error::ResourceWarning",
        }
        environment.pop("WATCHDOG_USEC", None)
        start = "from hsm_agent.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, "run", "--data", str(data)],
            stderr=self._log,
            env=environment,
            cwd=ROOT,
        )

    def told(self, word):
        """Wait until the service manager was told a word."""
        while True:
            octets = self._notify.recv(4096)
            if word in octets.decode().splitlines():
                return octets.decode()

    def send(self, number):
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self):
        """Wait for its end; return its exit code."""
        return self.process.wait(SECONDS)

    def close(self):
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(SECONDS)
        self._notify.close()
        self._log.close()


@contextmanager
def running(data, folder):
    """Run an agent for a block; it is ready when the block begins."""
    agent = AgentProcess(data, folder)
    try:
        agent.told("READY=1")
        yield agent
    finally:
        agent.close()
