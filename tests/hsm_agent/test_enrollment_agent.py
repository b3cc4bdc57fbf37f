"""Enrolment: one code, one command, and an agent that can run."""

import json
import stat
import threading
from contextlib import contextmanager

import pytest

from hsm_agent.cli.main import run
from hsm_agent.identity.identity import load_identity
from hsm_agent.identity.nodes import read_nodes
from hsm_agent.places import Place
from hsm_agent.policy_file import load_policy
from hsm_agent.settings.settings import load_settings
from hsm_agent.wire.bundles import REGISTRATION, Bundle, read_from_bundle, registration_session_id
from hsm_agent.wire.enrollment_code import comparison_words
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Enroll, Enrolled, Goodbye, Node
from tests.hsm_agent.wire_server import Gone, WireServer


@pytest.fixture
def server(tmp_path):
    node = WireServer(tmp_path / "node")
    yield node
    node.close()


@pytest.fixture
def data(tmp_path):
    return tmp_path / "agent"


@contextmanager
def taking_in(server, answer=None):
    """Let the server take in one agent while the block runs; what it got is in the list."""
    got = []

    def serve():
        try:
            got.append(server.accept_enrolment(answer)[0])
        except (Gone, OSError) as error:
            got.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    yield got
    thread.join()


def enroll(*words):
    return run(["enroll", *map(str, words)])


def test_a_code_makes_an_agent_that_can_run(server, data, capsys):
    """Keys, pins, settings and policy are there; the server has what the agent has."""
    with taking_in(server) as got:
        code = enroll(server.code(token=bytes(range(16))), "--data", data)

    identity, place = load_identity(data / "identity"), Place(data)
    assert 0 == code
    (message,) = got
    assert bytes(range(16)) == message.token
    assert identity.certificate == message.certificate
    assert (server.node(),) == read_nodes(place.identity)
    assert "vault-a" == load_settings(place).name
    assert "issuing" in load_policy(data / "policy.toml").provision.profiles
    words = comparison_words(
        server.identity.pin,
        identity.pin,
        server.identity.frame_public,
        identity.frame_public,
    )
    said = capsys.readouterr()
    assert f"words: {words}" in said.out
    assert f"hsm-agent run --data {data}" in said.out


def test_the_trial_store_is_loud(server, data, capsys):
    """Nobody gets keys in files without having read so."""
    with taking_in(server):
        enroll(server.code(), "--data", data)

    assert "NO TOKEN was named" in capsys.readouterr().err
    assert "for trials" in (data / "agent.toml").read_text()


def test_secrets_are_their_owners_alone(server, data):
    """Modes 0600 and 0700, whatever the umask is."""
    with taking_in(server):
        enroll(server.code(), "--data", data)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.rglob("*")}
    assert {0o600} == {modes[name] for name in ("keys.pem", "nodes.json", "agent.toml")}
    assert {0o700} == {modes["identity"], stat.S_IMODE(data.stat().st_mode)}


def test_the_answer_is_json_where_it_is_asked_for(server, data, capsys):
    """Nothing but one object on standard output."""
    with taking_in(server):
        enroll(server.code(), "--data", data, "-o", "json")

    found = json.loads(capsys.readouterr().out)
    assert "vault-a" == found["agent"]
    assert str(data / "policy.toml") == found["policy"]


def test_names_may_be_restricted_at_once(server, data):
    """``--allow-dns`` stands in the policy; without it the policy warns."""
    with taking_in(server):
        enroll(server.code(), "--data", data, "--allow-dns", "example.com")

    policy = load_policy(data / "policy.toml")
    assert "example.com" in (data / "policy.toml").read_text()
    assert not [warning for warning in policy.warnings() if "nothing restricts" in warning]


def test_status_and_proxy_are_written_into_the_settings(server, data):
    """One command line is enough."""
    options = ("--status", "127.0.0.1:0", "--store", "box")
    with taking_in(server):
        enroll(server.code(), "--data", data, *options)

    settings = load_settings(Place(data))
    assert ("127.0.0.1", 0) == settings.status
    assert ["box"] == list(settings.stores)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--pin-file", "pin"], "--pin-file is for a token"),
        (["--pkcs11-module", "/lib/x.so"], "a token needs"),
        (["--yubikey", "1", "--pkcs11-module", "/lib/x.so"], "two stores"),
        (["--status", "0.0.0.0:80"], "not a port of 127.0.0.1"),
        (["--proxy", "https://proxy"], "not http://"),
        (["--store", "A b"], "is no name for a store"),
        (["--name", "vault-b"], "the code is for 'vault-a'"),
        (["--allow-dns", "*.*"], "policy.toml"),
    ],
)
def test_wrong_options_do_not_spend_the_code(server, data, capsys, options, why):
    """Everything is checked before the server is asked: a code is good once."""
    assert 5 == enroll(server.code(), "--data", data, *options)

    assert why in capsys.readouterr().err
    assert not (data / "identity").exists()


def test_a_code_that_was_cut_is_refused(data, capsys):
    """The checksum sees it."""
    assert 1 == enroll("pika-agent-1.AAAA", "--data", data)

    assert "cut or altered" in capsys.readouterr().err


def test_a_further_code_gives_new_keys(server, data):
    """For an agent that lost its line, or that never had one; settings and policy stay."""
    with taking_in(server):
        enroll(server.code(), "--data", data)
    before, policy = load_identity(data / "identity"), (data / "policy.toml").read_text()

    with taking_in(server) as got:
        assert 0 == enroll(server.code(), "--data", data, "--allow-dns", "other.example")

    after = load_identity(data / "identity")
    assert before.pin != after.pin
    assert after.certificate == got[0].certificate
    assert policy == (data / "policy.toml").read_text()


def test_new_keys_that_the_server_refuses_do_not_count(server, data):
    """The old ones go on."""
    with taking_in(server):
        enroll(server.code(), "--data", data)
    before = load_identity(data / "identity")

    with taking_in(server, Goodbye("enrollment", b"this code was used before")):
        assert 1 == enroll(server.code(), "--data", data)

    assert before.pin == load_identity(data / "identity").pin


def test_the_folder_of_an_agent_is_never_taken_for_another_one(server, data, tmp_path, capsys):
    """Neither under another name nor for another server."""
    with taking_in(server):
        enroll(server.code(), "--data", data)
    keys = (data / "identity" / "keys.pem").read_bytes()
    other = WireServer(tmp_path / "other")

    assert 7 == enroll(server.code("vault-b"), "--data", data)
    assert 7 == enroll(other.code(), "--data", data)

    assert "another --data" in capsys.readouterr().err
    assert keys == (data / "identity" / "keys.pem").read_bytes()
    other.close()


def test_what_the_server_says_is_shown(server, data, capsys):
    """And nothing is remembered but keys, so that the next code works."""
    with taking_in(server, Goodbye("token", b"this code was used before")):
        assert 1 == enroll(server.code(), "--data", data)
    assert "this code was used before" in capsys.readouterr().err
    assert not (data / "identity" / "nodes.json").exists()

    with taking_in(server):
        assert 0 == enroll(server.code(), "--data", data)


def test_a_wrong_pin_in_the_code_sends_nothing(server, data, capsys):
    """Neither token nor keys reach whoever answers instead of the server."""
    with taking_in(server) as got:
        assert 4 == enroll(server.code(pin=bytes(32)), "--data", data)

    assert "nothing was sent" in capsys.readouterr().err
    assert isinstance(got[0], Exception)


@pytest.mark.parametrize(
    "answer",
    [
        Enrolled("vault-b", (Node(1, "127.0.0.1:1", bytes(32), bytes(32)),)),
        Enrolled("vault-a", ()),
        Enrolled("vault-a", (Node(1, "nowhere", bytes(32), bytes(32)),)),
    ],
    ids=["another name", "no nodes", "no address"],
)
def test_an_answer_that_makes_no_sense_enrols_nobody(server, data, answer):
    """A server that is confused leaves no half agent behind."""
    with taking_in(server, answer):
        assert 4 == enroll(server.code(), "--data", data)

    assert not (data / "identity" / "nodes.json").exists()


def test_settings_that_are_there_are_kept(server, data):
    """An operator may prepare everything and enrol last."""
    data.mkdir(mode=0o700)
    (data / "agent.toml").write_text('name = "vault-a"\n[stores.mine]\nkind = "software"\n')
    (data / "policy.toml").write_text("version = 1\n")

    with taking_in(server):
        assert 0 == enroll(server.code(), "--data", data)

    assert ["mine"] == list(load_settings(Place(data)).stores)
    assert "version = 1\n" == (data / "policy.toml").read_text()


def test_settings_of_another_agent_stop_it(server, data, capsys):
    """The name in the settings is the one that the server knows."""
    data.mkdir(mode=0o700)
    (data / "agent.toml").write_text('name = "other"\n')

    assert 5 == enroll(server.code(), "--data", data)

    assert "the code is for 'vault-a'" in capsys.readouterr().err


def test_the_code_may_come_on_standard_input(server, data, monkeypatch):
    """So it stands in no list of processes."""
    monkeypatch.setattr("sys.stdin", iter([]))
    monkeypatch.setattr("hsm_agent.cli.enroll.sys.stdin", Typed(server.code()))

    with taking_in(server):
        assert 0 == enroll("-", "--data", data)


class Typed:
    """A terminal where one line was typed."""

    def __init__(self, line):
        self._line = line

    def readline(self):
        return f"{self._line}\n"


def test_without_a_line_the_registration_is_carried(server, data, tmp_path, capsys):
    """One frame, signed with the key that it brings, under a session of the token."""
    token = bytes(range(16))
    out = tmp_path / "registration"

    assert 0 == enroll(server.code(token=token), "--data", data, "--offline", out)

    bundle = Bundle.of(out.read_bytes(), REGISTRATION)
    ((asking, octets),) = bundle.frames
    number, delivery = read_from_bundle(
        Frame.of(octets), registration_session_id(token), server.now()
    )
    (message,) = delivery.messages
    assert (b"", 1, "vault-a") == (asking, number, bundle.agent)
    assert isinstance(message, Enroll)
    assert load_identity(data / "identity").frame_public == message.frame_key
    assert server.node().pin == read_nodes(data / "identity")[0].pin
    assert "words: " in capsys.readouterr().out
