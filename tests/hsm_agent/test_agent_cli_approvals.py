"""``hsm-agent approvals``, ``approve`` and ``decline``: a person decides."""

import base64
import json

import pytest

from hsm_agent import clock
from hsm_agent.agent import open_agent
from hsm_agent.cli.main import run
from hsm_agent.control.deeds import HERE
from hsm_agent.places import Place
from hsm_agent.wire.messages import Context, Generate
from tests.hsm_agent.agent_process import make_agent
from tests.hsm_agent.wire_server import WireServer


@pytest.fixture
def data(tmp_path):
    server = WireServer(tmp_path / "node")
    make_agent(tmp_path / "agent", server)
    server.close()
    return tmp_path / "agent"


@pytest.fixture
def shell(data, capsys):
    """Run a command; return its exit code, what it wrote, and its errors."""

    def type_in(*words):
        code = run([*map(str, words), "--data", str(data)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return type_in


def request(name):
    expires = clock.now_ms() + 60_000
    return Generate(bytes(16), name, "ed25519", "issuing", expires, Context())


@pytest.fixture
def waiting(data):
    """A key that waits for approval before it is made; its id."""
    policy = data / "policy.toml"
    text = policy.read_text().replace(
        'approval = "none"                 #', 'approval = "local" #', 1
    )
    assert text != policy.read_text()
    policy.write_text(text)
    agent = open_agent(Place(data))
    agent.keyring.refresh()
    refused = agent.service.answer(request("trial/issuing"), HERE)
    agent.close()
    assert "approval-needed" == refused.code
    return refused.approval.hex()


def test_what_waits_is_listed_shown_approved(shell, waiting, tmp_path):
    """The operator sees what the octets say, and the statement that others would sign."""
    (listed,) = json.loads(shell("approvals", "-o", "json")[1])
    assert waiting == listed["id"]
    assert "trial/issuing" in shell("approvals", "show", waiting[:8])[1]
    statement = shell("approvals", "show", waiting, "--statement")[1]
    assert statement.startswith("hsm-agent approval v1\nagent: vault-a\n")
    shell("approvals", "show", waiting, "--octets", tmp_path / "octets")
    assert (tmp_path / "octets").read_bytes().startswith(b"hsm-agent generate v1\0")

    code, text, _ = shell("approve", waiting[:8], "--yes", "-o", "json")

    assert 0 == code
    assert ["local"] == json.loads(text)["approved_by"]


def test_an_approval_without_a_terminal_needs_yes(shell, waiting):
    """Nothing is approved unseen."""
    code, _, errors = shell("approve", waiting)

    assert (1, True) == (code, "use --yes" in errors)
    assert [] == json.loads(shell("approvals", "-o", "json")[1])[0]["approved_by"]


def test_what_is_declined_waits_no_more(shell, waiting):
    """And is not found any more."""
    assert 0 == shell("decline", waiting)[0]

    assert "Nothing waits" in shell("approvals")[1]
    code, _, errors = shell("approve", waiting, "--yes")
    assert (3, True) == (code, "nothing of that hash waits" in errors)


def test_a_proof_that_convinces_nobody_is_refused(shell, waiting, tmp_path):
    """Somebody else's signature has to be one of the policy's approvers'."""
    proof = tmp_path / "proof"
    proof.write_bytes(base64.b64encode(b"nonsense"))

    code, _, errors = shell("approve", waiting, "--proof", proof)

    assert 1 == code
    assert errors.startswith("hsm-agent: ")
