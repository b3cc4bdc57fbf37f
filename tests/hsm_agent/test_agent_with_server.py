"""The whole: ``pikaserver`` and ``hsm-agent`` as processes, from the code to a certificate."""

import json
import signal

import pytest
from cryptography import x509

from hsm_agent.cli.main import run
from hsm_agent.identity.identity import load_identity
from pikaserver.testing.patience import until
from pikaserver.testing.servers import free_port, running_server
from tests.hsm_agent.agent_process import AgentProcess

PLUGINS = ("--plugins", "crl,est,agents")


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that awaits agents."""
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patched:
        # A busy machine loses no line, and a stopped agent is noticed within `until`.
        patched.setenv("PIKASERVER__PLUGINS__AGENTS__DEAD", "6000")
        bind = f"127.0.0.1:{free_port()}"
        with running_server(folder, *PLUGINS, "--agents", bind) as server:
            yield server


@pytest.fixture(scope="module")
def data(tmp_path_factory, server):
    """The folder of an agent that is enrolled there."""
    data = tmp_path_factory.mktemp("agent") / "vault-a"
    code = json.loads(server.command("agent", "enroll", "vault-a", "-o", "json"))["code"]
    assert 0 == run(["enroll", code, "--data", str(data), "--allow-dns", "example.com"])
    return data


@pytest.fixture
def agent(tmp_path, data, server):
    """The agent, running, with a line."""
    agent = AgentProcess(data, tmp_path)
    try:
        agent.told("READY=1")
        until(lambda: connected(server), "the line")
        yield agent
    finally:
        agent.close()


def connected(server):
    (found,) = json.loads(server.command("agent", "list", "-o", "json"))
    return found["connected"]


@pytest.fixture(scope="module")
def issue(server, tmp_path_factory):
    """Issue a certificate under the agent's authority; it is made when it is needed first."""
    folder = tmp_path_factory.mktemp("issued")
    made = []

    def issue(name):
        if not made:
            key = ("--key", "agent:vault-a/issuing", "--key-type", "ec-p256")
            server.command("ca", "create", "far", "--parent", "root", *key)
            server.command("template", "create", "far", "--starter", "web", "--authority", "far")
        made.append(name)
        out = folder / f"{len(made)}.pem"
        where = ("--key-out", str(folder / f"{len(made)}.key"), "--out", str(out))
        server.command("cert", "issue", "--template", "far", "--dns", name, *where)
        return x509.load_pem_x509_certificates(out.read_bytes())[0]

    return issue


@pytest.mark.usefixtures("agent")
def test_an_authority_signs_at_the_agent(server, issue):
    """`ca create` makes the key there; its certificates verify; a foreign name is refused."""
    certificate = issue("app.example.com")

    far = x509.load_pem_x509_certificates(server.command("ca", "export", "far").encode())[0]
    certificate.verify_directly_issued_by(far)
    with pytest.raises(RuntimeError, match=r"not one that the policy allows"):
        issue("app.evil.example")


@pytest.mark.usefixtures("agent")
def test_both_histories_agree(server, issue):
    """Nothing was signed that the server does not know, and nothing is known that was not."""
    issue("history.example.com")

    assert "0 differences" in server.command("agent", "compare", "vault-a")


@pytest.mark.usefixtures("agent")
def test_rotated_keys_sign_on(server, data, issue):
    """New keys over the old line; both sides show the same ones."""
    assert 0 == run(["rotate", "--data", str(data)])
    pin = load_identity(data / "identity").pin.hex()

    shown = until(lambda: pin in server.command("agent", "show", "vault-a"), "the new keys")

    assert shown
    until(lambda: connected(server), "the line")
    assert issue("rotated.example.com")


def test_a_stopped_agent_comes_back_by_itself(agent, server, issue):
    """SIGSTOP and SIGCONT: the line is given up on both sides, then dialled again."""
    agent.send(signal.SIGSTOP)
    until(lambda: not connected(server), "the loss of the line")

    agent.send(signal.SIGCONT)

    until(lambda: connected(server), "the line")
    assert issue("woken.example.com")
    assert "Traceback" not in agent.log.read_text()


def test_an_agent_that_ends_is_gone_at_once(agent, server):
    """SIGTERM: drained, said goodbye, exit code 0."""
    agent.send(signal.SIGTERM)

    assert 0 == agent.end()
    until(lambda: not connected(server), "the end of the line")


@pytest.mark.usefixtures("agent")
def test_after_a_restart_the_keys_are_there(issue):
    """Journal, certificates and keys were on disk."""
    assert issue("again.example.com")
