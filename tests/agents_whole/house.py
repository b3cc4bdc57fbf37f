"""A server, and agents on hosts of their own: real processes, and the commands beside them."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from pikaserver.cli.main import run
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.patience import until
from pikaserver.testing.servers import ServerProcess, free_port

_AGENT = (sys.executable, "-c", "from hsm_agent.cli.main import main; main()")
_SECONDS = 60
_UP = re.compile(r"line to node \d+ at \S+ is up")
_STOP_SECONDS = 20


@dataclass
class Answer:
    """How a command ended."""

    code: int
    text: str
    errors: str

    @property
    def json(self):
        """What it wrote, read as JSON."""
        return json.loads(self.text)


class AgentHost:
    """Where one agent lives: its folder, ``hsm-agent`` in processes of its own.

    ``wrapper`` is a program that starts it, such as ``unshare``, and its arguments.
    """

    def __init__(self, folder, name, environment=None, wrapper=()):
        folder.mkdir(exist_ok=True)
        self.name = name
        self.wrapper = wrapper
        self.folder = folder
        self.data = folder / "agent"
        self.log_file = folder / "agent.log"
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def try_(self, *words):
        """Run ``hsm-agent WORDS``, which may fail."""
        told = subprocess.run(
            [*self.wrapper, *_AGENT, *map(str, words), "--data", str(self.data)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        return Answer(told.returncode, told.stdout, told.stderr)

    def __call__(self, *words):
        """Run a command that does not fail."""
        answer = self.try_(*words)
        assert 0 == answer.code, answer.errors + answer.text
        return answer

    def json(self, *words):
        """Run a command and return the JSON that it wrote."""
        return self(*words, "-o", "json").json

    @property
    def log(self):
        """What ``hsm-agent run`` printed."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def begin(self):
        """Start ``hsm-agent run`` and wait for nothing."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, *_AGENT, "run", "--data", str(self.data)],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def start(self):
        """Start ``hsm-agent run`` and wait until its line is up."""
        before = len(self.log)
        self.begin()
        until(lambda: _UP.search(self.log[before:]) or self.process.poll() is not None, "the line")
        assert self.process.poll() is None, self.log

    def signal(self, number):
        """Send the process a signal."""
        self.process.send_signal(number)

    def stop(self):
        """Let it end by itself; return its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(_STOP_SECONDS)
        self.process = None
        return code

    def kill(self):
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_STOP_SECONDS)
            self.process = None

    def edit_policy(self, before, after):
        """Replace text of the policy file; an agent that runs reads it again on SIGHUP."""
        file = self.data / "policy.toml"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    def reload(self):
        """Let the agent read its policy again, and wait until it has."""
        before = len(self.journal("policy"))
        self.signal(signal.SIGHUP)
        until(lambda: len(self.journal("policy")) > before, "a new look at the policy")

    def journal(self, event=None):
        """Return the lines of the journal, those of one event if it is named."""
        lines = [
            json.loads(line)
            for file in sorted((self.data / "journal").glob("*.jsonl"))
            for line in file.read_bytes().splitlines()
        ]
        return [line for line in lines if event in {None, line["event"]}]

    def refusals(self):
        """Return the reasons of all refusals in the journal."""
        return [line["why"] for line in self.journal("refused")]


class House:
    """One server process and the agents that dial it."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.agents_port = free_port()
        where = ("--agents", f"127.0.0.1:{self.agents_port}", *arguments)
        self.server = ServerProcess(folder / "data", free_port(), free_port(), where)
        self.hosts = []

    @property
    def data(self):
        """The server's folder."""
        return self.server.data

    def try_(self, *words, given=""):
        """Run ``pikaserver WORDS`` beside the server, in this process; it may fail."""
        out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        typed = io.TextIOWrapper(io.BytesIO(given.encode()))
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "stdin", typed),
        ):
            code = run([*map(str, words), "--data", str(self.data)])
        return Answer(code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode())

    def __call__(self, *words, given=""):
        """Run a command that does not fail."""
        answer = self.try_(*words, given=given)
        assert 0 == answer.code, answer.errors + answer.text
        return answer

    def json(self, *words):
        """Run a command and return the JSON that it wrote."""
        return self(*words, "-o", "json").json

    def code(self, name, *options):
        """Return a new enrolment code."""
        return self.json("agent", "enroll", name, *options)["code"]

    def host(self, name="vault-a", *options, token=None):
        """Return the host of a new agent that is enrolled, and does not run yet."""
        environment = token.environment if token else None
        host = AgentHost(self.folder / f"host-{name}", name, environment)
        self.hosts.append(host)
        keys = () if token is None else token_options(token)
        host("enroll", self.code(name), *keys, *options)
        return host

    def agent(self, name="vault-a", *options, token=None):
        """Return the host of a new agent that runs and may be asked."""
        host = self.host(name, *options, token=token)
        self.start(host)
        return host

    def start(self, host):
        """Start an agent and wait until the server may ask it."""
        host.start()
        self.wait_connected(host.name)

    def is_connected(self, name):
        """Tell whether an agent can be asked."""
        return any(one["agent"] == name and one["connected"] for one in self.agents())

    def wait_connected(self, name, *, connected=True):
        """Wait until an agent can be asked, or cannot."""
        until(lambda: self.is_connected(name) is connected, f"the line of {name}")

    def agents(self):
        """Return what the server tells of its agents."""
        return self.json("agent", "list")

    def opened(self):
        """Open the server's data in this process, as a command does."""
        return open_server(load(os.environ, data=self.data), os.environ)

    def pem(self, authority):
        """Return an authority's certificate in PEM."""
        return self("ca", "export", authority).text

    def chain(self, authority):
        """Return an authority's certificate and those above it in PEM."""
        return self("ca", "export", authority, "--chain").text

    def issue_with(self, template, authority):
        """Let a template's certificates be issued by an authority."""
        text = self("template", "export", template).text
        file = self.folder / f"{template}.toml"
        file.write_text(re.sub(r'"issuing"', f'"{authority}"', text))
        self("template", "import", template, file)

    def close(self):
        """End everything."""
        for host in self.hosts:
            host.kill()
        if self.server.process is not None:
            self.server.stop()


def token_options(token):
    """Return what tells ``hsm-agent enroll`` of a SoftHSM."""
    settings = token.settings()
    return (
        *("--pkcs11-module", settings["module"], "--pkcs11-token", settings["token"]),
        *("--pin-file", settings["pin-file"], "--store", "hsm"),
    )


@contextlib.contextmanager
def running_house(folder: Path, *arguments: str):
    """Give a server that answers; it ends with its agents."""
    house = House(folder, *arguments)
    with pytest.MonkeyPatch.context() as patched:
        # A busy machine loses no line, and one that hangs is noticed within the patience of a test.
        patched.setenv("PIKASERVER__PLUGINS__AGENTS__DEAD", "6000")
        try:
            house.server.start()
            yield house
        finally:
            house.close()
