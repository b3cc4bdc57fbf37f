"""Servers, agents and an authority between them, for the benchmark of the agent."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from agent_keys import BenchKey, Limit, limit, virtual_yubikey

from pikaserver.testing.servers import ServerProcess, free_port
from pikaserver.testing.signing_agents import SigningAgent

AUTHORITY = "vault"
AGENT, STANDBY = "vault-a", "vault-b"
CARD_SECONDS = 0.05
"""What the virtual card takes for a signature with P-256."""


@dataclass
class House:
    """A server that is set up and stands still, an agent that runs, and an authority over its key.

    ``enter`` stands before commands that have to run where they are.
    """

    key: BenchKey
    folder: Path
    server: ServerProcess
    agent: SigningAgent
    enter: tuple[str, ...] = ()
    standby: SigningAgent | None = None

    @property
    def reference(self) -> str:
        """How the server names the key."""
        return f"agent:{self.agent.name}/{self.key.label}"

    def found(self) -> None:
        """Make the authority and its template; then the server ends."""
        self.agent.await_line(self.server)
        words = ("--parent", "root", "--key", self.reference, "--key-type", self.key.key_type)
        self.server.command("ca", "create", AUTHORITY, *words)
        starter = ("--starter", "device", "--authority", AUTHORITY)
        self.server.command("template", "create", AUTHORITY, *starter)
        self.server.stop()

    def limit(self, seconds: float) -> Limit:
        """Measure the key without any agent; a card belongs to one program at a time."""
        alone = self.key.kind == "piv"
        if alone:
            self.agent.stop()
        try:
            return limit(self.key, self.folder, seconds, self.enter)
        finally:
            if alone:
                self.agent.start()


@contextlib.contextmanager
def house(key: BenchKey, folder: Path) -> Iterator[House]:
    """Give a house whose agent keeps this key, in a folder that is there."""
    agent = SigningAgent(AGENT, folder / AGENT, environment=key.environment)
    made = House(key, folder, _server(folder), agent)
    try:
        made.server.start()
        agent.enroll(made.server, *key.options)
        agent.start()
        made.found()
        yield made
    finally:
        agent.kill()
        made.server.stop()


@contextlib.contextmanager
def house_with_card(folder: Path) -> Iterator[House]:
    """Give a house whose agent keeps its key on a virtual YubiKey, in a real pcscd.

    Raises:
        LookupError: that cannot be had here; the text says why.
    """
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        import pytest  # noqa: PLC0415 - the virtual card is part of the tests

        from tests.agents_yubikey.desk import desk  # noqa: PLC0415 - so is this
    except ImportError as error:
        raise LookupError(f"the environment of the tests (make set-up): {error}") from None
    with contextlib.ExitStack() as running:
        try:
            card = running.enter_context(desk(folder, "--delay", f"ECCP256={CARD_SECONDS}"))
        except (pytest.skip.Exception, pytest.fail.Exception) as error:
            raise LookupError(str(error)) from None
        key = virtual_yubikey(CARD_SECONDS)
        made = House(key, folder, card.server, card.agent, card.card.room.enter)
        made.found()
        yield made


@contextlib.contextmanager
def house_with_standby(key: BenchKey, folder: Path) -> Iterator[House]:
    """Give a house with two agents that have the same key in a file; the first one is asked."""
    with house(key, folder) as made:
        made.server.start()
        standby = SigningAgent(STANDBY, folder / STANDBY)
        standby.enroll(made.server)
        file = made.agent.data / "software-keys" / f"{key.label}.pem"
        standby.command("keys", "import", key.label, str(file), "--profile", "issuing")
        standby.start()
        try:
            standby.await_line(made.server)
            _same_certificate(made, standby)
            made.server.stop()
            yield replace(made, standby=standby)
        finally:
            standby.kill()


def _same_certificate(made: House, standby: SigningAgent) -> None:
    """Let the second agent know the authority, as it would after the next renewal."""
    file = made.folder / "authority.pem"
    file.write_text(made.server.command("ca", "show", AUTHORITY, "-o", "pem"))
    standby.command("keys", "certificate", made.key.label, str(file))


def _server(folder: Path) -> ServerProcess:
    bind = ("--agents", f"127.0.0.1:{free_port()}")
    return ServerProcess(folder / "data", free_port(), free_port(), bind)
