"""The other commands of ``hsm-agent``, and what all of them have in common."""

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_agent import clock
from hsm_agent.cli.main import run
from hsm_agent.cli.output import cell, warn
from hsm_agent.control.exit_codes import __doc__ as codes
from hsm_agent.identity.identity import load_identity
from hsm_agent.notify import ServiceManager
from hsm_agent.wire.bundles import ANSWERS, REQUESTS, Bundle, read_from_bundle, seal_for_bundle
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Context, Done, Generate, Inventory
from hsm_agent.wire.session import relay_session_id
from pikaserver.cli import exit_codes
from pikaserver.testing.patience import SECONDS
from tests.hsm_agent.agent_process import ROOT, make_agent
from tests.hsm_agent.wire_server import WireServer

START = "from hsm_agent.cli.main import main; main()"


@pytest.fixture
def server(tmp_path):
    node = WireServer(tmp_path / "node")
    yield node
    node.close()


@pytest.fixture
def data(tmp_path, server):
    make_agent(tmp_path / "agent", server)
    return tmp_path / "agent"


@pytest.fixture
def shell(data, capsys):
    """Run a command; return its exit code, what it wrote, and its errors."""

    def type_in(*words):
        code = run([*map(str, words), "--data", str(data)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return type_in


@pytest.mark.parametrize(
    "words",
    [[], ["keys", "generate", "--help"], ["nonsense"], ["keys", "-o", "xml"], ["journal"]],
)
def test_usage_is_told_without_a_traceback(words, capsys):
    """Help is 0, wrong usage 2 and one line."""
    code = run(words)

    written = capsys.readouterr()
    assert (0 if "--help" in words else 2) == code
    assert "Traceback" not in written.err
    assert "--help" in words or 1 == written.err.count("\n")


def test_every_command_has_help(capsys):
    """All that the page names."""
    run(["--help"])
    text = capsys.readouterr().out
    commands = "run enroll keys slots provision policy approvals approve decline journal"

    for command in [*commands.split(), "offline", "rotate", "status", "pin", "doctor", "version"]:
        assert command in text
        assert 0 == run([command, "--help"])
        assert "--data" in capsys.readouterr().out


def test_help_is_there_at_once():
    """No library is loaded for it: cryptography alone would take longer than all of it."""
    program = f"import sys; sys.argv[1:] = ['--help']\ntry:\n {START.replace('; ', chr(10) + ' ')}"
    program += "\nexcept SystemExit: print('cryptography' in sys.modules, 'cbor2' in sys.modules)"
    best = 9.0
    for _ in range(3):
        begun = processor_seconds()
        answer = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
        )
        best = min(best, processor_seconds() - begun)

    assert answer.stdout.endswith("False False\n")
    assert best < 1.0  # of work, however busy the machine; it takes a tenth of that


def processor_seconds():
    """Return what the programs that ended have worked so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_folder_without_settings_says_how_they_come(tmp_path, capsys):
    """Exit code 5, whatever the command."""
    for words in (["keys"], ["run"], ["status"], ["journal", "verify"], ["policy", "check"]):
        assert 5 == run([*words, "--data", str(tmp_path / "none")])
        assert "hsm-agent enroll CODE" in capsys.readouterr().err


def test_the_policy_is_checked_and_warned_about(shell, tmp_path):
    """The agent's own, or a file before it counts."""
    code, text, errors = shell("policy", "check")
    assert (0, True) == (code, "is a policy; SHA-256 " in text)
    assert "warning: " in errors

    found = json.loads(shell("policy", "check", "-o", "json")[1])
    assert {"issuing", "root", "service"} == set(found["profiles"])

    wrong = tmp_path / "wrong.toml"
    wrong.write_text("version = 1\nkesy = 1\n")
    code, _, errors = shell("policy", "check", wrong)
    assert (5, True) == (code, "kesy" in errors)


def test_the_journal_is_verified_shown_and_exported(shell, tmp_path, data):
    """A line that was altered is found: exit code 6."""
    shell("keys", "generate", "x", "--type", "ed25519")
    code, text, _ = shell("journal", "verify")
    assert (0, True) == (code, "lines in 1 files" in text)

    out = tmp_path / "lines"
    shell("journal", "export", "--out", out)
    lines = out.read_bytes().splitlines()
    assert ["make", "made"] == [json.loads(line)["event"] for line in lines]
    assert "made" in shell("journal", "show")[1]

    (file,) = (data / "journal").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"trial/x"', b'"trial/y"', 1))
    code, text, _ = shell("journal", "verify", "-o", "json")
    assert (6, False) == (code, json.loads(text)["sound"])


def test_status_tells_that_nothing_runs(shell):
    """All that can be seen from outside, and exit code 4."""
    code, text, _ = shell("status")
    assert (4, True) == (code, "NOT RUNNING" in text)

    found = json.loads(shell("status", "-o", "json")[1])
    assert (False, "vault-a", []) == (found["running"], found["name"], found["lines"])


def test_doctor_finds_what_is_wrong(shell, data, server):
    """Nodes that cannot be reached, folders that others can read; warnings are none of it."""
    code, text, _ = shell("doctor", "-o", "json")
    found = {(one["what"], one["how"]) for one in json.loads(text)}
    # The node listens, but nobody answers there.
    assert 6 == code
    assert ("node", "bad") in found
    assert {("settings", "ok"), ("journal", "ok"), ("agent", "warning")} <= found
    assert ("store", "warning") in found

    server.close()
    data.chmod(0o755)
    assert "chmod 700" in shell("doctor")[1]


def test_version_names_the_libraries(shell):
    """What a report about a fault needs."""
    found = json.loads(shell("version", "-o", "json")[1])

    assert {"software", "python", "cryptography", "openssl"} == set(found)


def request(name="issuing"):
    expires = clock.now_ms() + 60_000
    return Generate(bytes(16), name, "ed25519", "issuing", expires, Context())


def test_a_bundle_is_answered_once(shell, tmp_path, data, server):
    """For an agent without a line: the same policy, the same journal, and no replay."""
    identity = load_identity(data / "identity")
    asking, ours = server.identity.frame_public, identity.frame_public
    session = relay_session_id(asking, ours)
    frame = seal_for_bundle(session, 1, clock.now_ms(), [request()], server.identity.sign)
    stranger = seal_for_bundle(session, 2, clock.now_ms(), [request()], identity.sign)
    bundle, out = tmp_path / "bundle", tmp_path / "answers"
    frames = ((asking, frame.octets()), (asking, stranger.octets()))
    bundle.write_bytes(Bundle(REQUESTS, "vault-a", frames).octets())

    code, _, errors = shell("offline", bundle, "--out", out)

    answers = Bundle.of(out.read_bytes(), ANSWERS)
    ((_, octets),) = answers.frames
    number, delivery = read_from_bundle(Frame.of(octets), session, clock.now_ms())
    assert (1, 1) == (code, number)
    assert {Done, Inventory} == {type(one) for one in delivery.messages}
    assert "frame 2 got no answer" in errors
    code, _, errors = shell("offline", bundle, "--out", out)
    assert (1, True) == (code, "came before" in errors)


def test_a_bundle_for_somebody_else_is_refused(shell, tmp_path):
    """By its name."""
    bundle = tmp_path / "bundle"
    bundle.write_bytes(Bundle(REQUESTS, "vault-b", ()).octets())

    code, _, errors = shell("offline", bundle, "--out", tmp_path / "out")

    assert (1, True) == (code, "'vault-b'" in errors)
    assert not (tmp_path / "out").exists()


def test_a_trial_store_has_no_pin(shell):
    """Nor has an agent without tokens one to check."""
    assert 3 == shell("pin", "check")[0]
    code, _, errors = shell("pin", "check", "trial")
    assert (1, True) == (code, "a trial store has no PIN" in errors)


def test_secrets_are_asked_at_a_terminal_only(shell):
    """Never taken from a pipe or an option."""
    for command in ("initialise", "change", "unblock"):
        code, _, errors = shell("pin", command, "trial")
        assert (1, True) == (code, "there is no terminal" in errors)


def test_new_secrets_are_typed_twice(shell, monkeypatch):
    """And a store that has none says so."""
    monkeypatch.setattr("hsm_agent.cli.pin.sys.stdin", Terminal())
    typed = ["one", "other", "new pin", "new pin", "new puk", "new puk"]
    monkeypatch.setattr("getpass.getpass", lambda _: typed.pop(0))

    assert "typed differently" in shell("pin", "initialise", "trial")[2]
    assert "managed by the token's own program" in shell("pin", "initialise", "trial")[2]
    assert [] == typed


class Terminal:
    """Somewhere a person types."""

    @staticmethod
    def isatty():
        return True


def test_no_text_steers_the_terminal():
    """Names come from requests."""
    assert "a\\x1b[31m" == cell("a\x1b[31m")
    assert "yes, -, x=1" == cell([True, None, {"x": 1}])


def test_no_refusal_steers_the_terminal_either(capsys):
    """Whatever a server, or a proxy, said at the end of a line may stand in it."""
    warn("the server said \x1b[2J\r\nhsm-agent: all is well")

    assert capsys.readouterr().err == (
        "hsm-agent: the server said \\x1b[2J\\x0d\\x0ahsm-agent: all is well\n"
    )


def test_exit_codes_are_those_of_the_server():
    """One meaning for each number, in both programs."""
    numbers = [line.split()[0] for line in codes.splitlines() if line[:1].isdigit()]
    theirs = [line.split()[0] for line in exit_codes.__doc__.splitlines() if line[:1].isdigit()]
    assert theirs == numbers


def test_the_service_manager_is_told(tmp_path):
    """Ready, alive; and nothing where there is none."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(SECONDS)
        manager = ServiceManager({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "10000000"})

        manager.tell("READY=1", "STATUS=well")

        assert b"READY=1\nSTATUS=well" == listener.recv(100)
    assert 5.0 == manager.interval
    manager.tell("WATCHDOG=1")
    nobody = ServiceManager({"WATCHDOG_USEC": "1"})
    nobody.tell("READY=1")
    assert nobody.interval is None
    others = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1", "WATCHDOG_PID": str(os.getpid() + 1)}
    assert ServiceManager(others).interval is None


def test_paths_that_are_long_for_a_socket_work(tmp_path, server, capsys):
    """The kernel takes 107 octets, and folders are longer."""
    deep = tmp_path / ("d" * 100) / "agent"
    make_agent(deep, server)

    assert 4 == run(["status", "--data", str(deep)])
    assert 0 == run(["keys", "--data", str(Path(deep))])
    assert "no key" in capsys.readouterr().out
