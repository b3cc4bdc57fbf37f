"""``hsm-agent run`` as a process: ready, asked, signalled, stopped."""

import hashlib
import json
import signal
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent import clock
from hsm_agent.cli.main import run
from hsm_agent.cli.reach import runs
from hsm_agent.control.client import AgentRuns, connect
from hsm_agent.identity.identity import load_identity
from hsm_agent.places import Place
from hsm_agent.wire.messages import (
    Context,
    Done,
    Drain,
    Enroll,
    Enrolled,
    Generate,
    Goodbye,
    Inventory,
    Pong,
    Sign,
    Signed,
)
from tests.hsm_agent.agent_process import ROOT, AgentProcess, make_agent, running
from tests.hsm_agent.wire_server import WireServer

START = "from hsm_agent.cli.main import main; main()"
PROOF = b"hsm-agent key proof v1\0" + bytes(32)


@pytest.fixture
def server(tmp_path):
    node = WireServer(tmp_path / "node")
    yield node
    node.close()


@pytest.fixture
def data(tmp_path):
    return tmp_path / "agent"


@pytest.fixture
def agent(tmp_path, data, server):
    """An agent that runs, with its line to the server."""
    make_agent(data, server)
    with running(data, tmp_path) as process:
        process.line = server.accept()
        process.hello = process.line.welcome()
        process.line.beat()
        process.line.receive(Pong)
        yield process


def generate(name, profile="issuing"):
    expires = clock.now_ms() + 60_000
    return Generate(clock.entropy(16), name, "ec-p256", profile, expires, Context())


def test_a_key_is_made_and_signs_over_a_line(agent):
    """The whole way: line, service, journal, store, and a signature that verifies."""
    agent.line.send(generate("trial/issuing"))
    (key,) = agent.line.receive(Done).keys
    digest = hashlib.sha256(key.public_key).digest()

    agent.line.send(
        Sign(bytes(16), digest, "ecdsa-sha256", PROOF, clock.now_ms() + 60_000, Context())
    )
    signed = agent.line.receive(Signed)

    public = load_der_public_key(key.public_key)
    public.verify(signed.signature, PROOF, ec.ECDSA(hashes.SHA256()))
    assert signed.journal.index > agent.hello.journal.index


def test_other_commands_ask_the_running_agent(agent, data, capsys):
    """A token is for one process: the keys come over the socket."""
    agent.line.send(generate("trial/issuing"))
    agent.line.receive(Done)

    assert 0 == run(["keys", "--data", str(data), "-o", "json"])

    (key,) = json.loads(capsys.readouterr().out)
    assert ("trial/issuing", "ready", True) == (key["name"], key["state"], key["trial"])


def test_a_key_made_at_the_host_is_announced(agent, data, capsys):
    """The server learns of it without a new line."""
    words = ["generate", "ours", "--type", "ed25519", "--profile", "root"]
    assert 0 == run(["keys", *words, "--data", str(data), "-o", "json"])
    made = json.loads(capsys.readouterr().out)

    (announced,) = agent.line.receive(Inventory).keys

    assert "trial/ours" == made["name"] == announced.name
    assert "ready" == announced.state


def test_sighup_reads_the_policy_again_and_journals_it(agent, data, capsys):
    """A wrong one changes nothing; a good one counts at once, and the server learns its hash."""
    policy = data / "policy.toml"
    before = policy.read_text()
    policy.write_text("version = 7\n")
    agent.send(signal.SIGHUP)
    policy.write_text(f"{before}# edited\n")

    while True:
        agent.send(signal.SIGHUP)
        if hashlib.sha256(policy.read_bytes()).digest() == agent.line.receive(Inventory).policy:
            break

    run(["journal", "show", "-n", "1", "--data", str(data), "-o", "json"])
    (line,) = json.loads(capsys.readouterr().out)
    assert "policy" == line["event"]


def test_sigterm_drains_and_says_goodbye(agent, data):
    """The server hears Drain, then Goodbye; the exit code is 0 and the socket is gone."""
    agent.send(signal.SIGTERM)

    agent.line.receive(Drain)
    assert "stopping" == agent.line.receive(Goodbye).code
    agent.line.close()
    assert 0 == agent.end()
    assert not Place(data).socket.exists()


def test_a_second_agent_on_the_same_folder_does_not_start(agent, data, tmp_path):
    """The journal has one writer; the first agent goes on."""
    elsewhere = tmp_path / "second"
    elsewhere.mkdir()
    second = AgentProcess(data, elsewhere)
    try:
        assert 0 < second.end()
    finally:
        second.close()

    agent.line.send(generate("trial/issuing"))
    agent.line.receive(Done)
    assert "Traceback" not in second.log.read_text()


def test_new_keys_are_registered_over_the_old_line(agent, data, server):
    """Rotation: the server takes them, the agent dials again with them, at once."""
    before = load_identity(data / "identity")
    rotate = subprocess.Popen(
        [sys.executable, "-c", START, "rotate", "--data", str(data), "-o", "json"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    enroll = agent.line.receive(Enroll)
    server.know(enroll.certificate, enroll.frame_key)
    agent.line.send(Enrolled("vault-a", (server.node(),)))

    line = server.accept()
    line.welcome()

    with rotate:
        told = json.loads(rotate.stdout.read())
    after = load_identity(data / "identity")
    assert enroll.certificate == line.line.getpeercert(binary_form=True) == after.certificate
    assert f"sha256:{after.pin.hex()}" == told["pin"]
    assert before.pin != after.pin


def test_a_rotation_that_no_node_takes_changes_nothing(tmp_path, data, server):
    """Without a line there is no other way to register keys."""
    make_agent(data, server)
    before = load_identity(data / "identity")
    with running(data, tmp_path):
        code = run(["rotate", "--data", str(data)])

    assert 4 == code
    assert before.certificate == load_identity(data / "identity").certificate


@pytest.mark.usefixtures("agent")
def test_what_is_asked_over_the_socket_is_checked(data):
    """Strangers among deeds and arguments get a sentence."""
    runs = AgentRuns(Place(data).socket)

    for words, why in [
        ({"deed": "destroy"}, "does not know the deed"),
        ({"deed": "keys", "more": 1}, "unknown arguments: more"),
        ({"deed": "generate"}, "name should be a text"),
        ({"deed": "offline", "bundle": "%"}, "bundle should be base64"),
    ]:
        deed = words.pop("deed")
        with pytest.raises(Exception, match=why):
            runs.do(deed, **words)


def test_whoever_leaves_without_a_word_leaves_no_trace(agent, data):
    """Other commands look whether an agent runs before they ask; others send nonsense."""
    for octets in (b"", b"\xff\n", b"[]\n", b"{}\n"):
        with connect(Place(data).socket) as caller:
            caller.sendall(octets)

    assert runs(data)
    agent.send(signal.SIGTERM)
    agent.line.receive(Goodbye)
    agent.line.close()
    agent.end()
    assert "Traceback" not in agent.log.read_text()
