"""A virtual YubiKey in a real pcscd, an agent that keeps its keys there, and a server beside it."""

import json
import os
import pty
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass

from pikaserver.testing.servers import ServerProcess, free_port
from pikaserver.testing.signing_agents import SigningAgent
from tests.agents_failover.enrolling import Enrolling
from tests.hsm_agent.piv_bench import PIN, PUK, SERIAL
from tests.virtual_yubikey.doorway import doorways
from tests.virtual_yubikey.plugged import READER, PluggedCard, plugged_card

PIN_OCTETS = 8
"""A shorter VERIFY is a question how many tries are left."""
WAITS = 8
"""How a command ends that waits for an approval."""


@dataclass
class Desk:
    """Everything in the reader's room: it has no network but loopback."""

    card: PluggedCard
    server: ServerProcess
    agent: SigningAgent

    def start(self):
        """Run the agent and wait until the server may ask it."""
        self.agent.start()
        self.agent.await_line(self.server)

    def restart(self):
        """Let the agent begin again, with whatever its files say now."""
        self.agent.stop()
        self.start()

    @property
    def pin_file(self):
        """Where the agent finds the PIN."""
        return self.agent.data.parent / "yubikey.pin"

    def devices(self, code, template):
        """Return what enrols devices."""
        return Enrolling([self.server], code, template)

    def template(self, authority):
        """Make a template that issues under an authority; return its name and a code."""
        name = f"{authority}-device"
        words = ("--starter", "device", "--authority", authority)
        self.server.command("template", "create", name, *words)
        return self.server.code(name, 1_000_000), name

    def initialise(self):
        """Take the card off the factory's values, as a person does at a terminal."""
        words = ("pin", "initialise", "yubikey", "--data", str(self.agent.data))
        start = "from hsm_agent.cli.main import main; main()"
        terminal, other = pty.openpty()
        # The program wants a terminal of its own; what is typed before it asks is thrown away.
        command = [*self.card.room.enter, "setsid", "--ctty", "--wait", sys.executable]
        with subprocess.Popen(
            [*command, "-c", start, *words], stdin=other, stdout=other, stderr=other
        ) as process:
            os.close(other)
            told = b""
            for secret in (PIN, PIN, PUK, PUK):
                told += _read_until(terminal, b": ")
                os.write(terminal, f"{secret}\n".encode())
            told += _read_until(terminal, b"")
            os.close(terminal)
            assert 0 == process.wait(60), told
        return told.decode()

    def ca(self, name, *words):
        """Make an authority, and approve at the agent whatever it asks a person for."""
        command = ("ca", "create", name, *words)
        try:
            return self.server.command(*command)
        except RuntimeError as error:
            if not str(error).startswith(f"exit {WAITS}:"):
                raise
        (waiting,) = json.loads(self.agent.command("approvals", "-o", "json"))
        self.agent.command("approve", waiting["id"], "--yes")
        return self.server.command(*command)

    def ykman(self, *words):
        """Run ykman at the reader; the agent has to be away, for it keeps the card to itself."""
        return self.card.room.run("ykman", "--reader", READER, *words)

    def verifications(self):
        """Return how the card answered each PIN that was tried since its log was emptied."""
        return [
            answer[-4:]
            for command, answer in self.card.tell("log")
            if command.startswith("0020") and len(command) > 2 * PIN_OCTETS
        ]


@contextmanager
def desk(folder, *card_options, settings=""):
    """Set a desk up with a fresh card, off the factory's values; the agent runs.

    ``settings`` are the server's, besides those that a first start writes.
    """
    (folder / "room").mkdir()
    (folder / "node" / "conf.d").mkdir(parents=True, mode=0o700)
    (folder / "node").chmod(0o700)
    (folder / "node" / "conf.d" / "desk.toml").write_text(settings)
    with plugged_card(folder / "room", *card_options) as card:
        http, https = free_port(), free_port()
        where = ("--agents", f"127.0.0.1:{free_port()}")
        server = ServerProcess(folder / "node", http, https, where, wrapper=card.room.enter)
        agent = SigningAgent("vault-a", folder / "vault-a", wrapper=card.room.enter)
        with doorways(card.room, http, https):
            try:
                server.start()
                made = Desk(card, server, agent)
                _enrol(made)
                made.start()
                yield made
            finally:
                agent.kill()
                server.stop()


def _enrol(made):
    folder = made.agent.data.parent
    files = ("--pin-file", folder / "yubikey.pin", "--management-key-file", folder / "yubikey.key")
    made.agent.enroll(made.server, "--yubikey", str(SERIAL), *map(str, files))
    settings = made.agent.data / "agent.toml"
    root = f'attestation-roots = ["{made.card.root}"]\n'
    settings.write_text(settings.read_text().replace('kind = "piv"\n', f'kind = "piv"\n{root}'))
    made.initialise()


def _read_until(terminal, end):
    """Return what a terminal shows until it ends so, or until nobody writes to it any more."""
    told = b""
    while not end or not told.endswith(end):
        try:
            octets = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            return told
        told += octets
    return told
