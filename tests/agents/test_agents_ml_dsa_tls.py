"""ML-DSA keys for TLS: where the library has them, and what is said where it has not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from hsm_agent.channel.faults import NotReached
from hsm_agent.channel.greeting import Surroundings, open_line
from hsm_agent.cli.main import run
from hsm_agent.identity import channel_keys
from hsm_agent.identity.identities import Identities
from hsm_agent.identity.identity import make_identity
from hsm_agent.places import Place
from hsm_agent.wire import tls_abilities
from hsm_agent.wire.channel_kinds import TLS_KINDS, Abilities, ChannelKinds
from hsm_agent.wire.messages import Node
from hsm_agent.wire.tls_abilities import HYBRID_GROUP, TlsLibrary, tls_library
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import missing
from pikaserver_agents.directory import View
from pikaserver_agents.peers import Peer
from pikaserver_agents.private_keys import new_tls_key, private_pem, self_signed
from pikaserver_agents.storage.node_keys import NodeKey
from tests.agents.real_agents import now
from tests.hsm_agent.wire_server import wire_server

ROOT = Path(__file__).parent.parent.parent


def newer_python():
    """Return what starts this Python with the newer OpenSSL that ``make test`` unpacks."""
    root = Path(require_ml_dsa_openssl()).resolve().parent
    for library in root.glob("usr/lib/*/libssl.so.3"):
        (loader,) = library.parent.glob("ld-linux-*.so.*")
        return [str(loader), "--library-path", str(library.parent), sys.executable]
    return missing("an unpacked OpenSSL 3.5", "run scripts/fetch-openssl .tools/openssl")


def test_a_whole_line_with_ml_dsa_alone(tmp_path):
    """Enrolment, a node's new keys, an agent's new keys, and the key agreement: with OpenSSL 3.5.

    The same Python runs with the newer library.
    """
    script = ROOT / "tests/agents/ml_dsa_tls.py"
    paths = [ROOT, *sorted((ROOT / "plugins").iterdir())]

    answer = subprocess.run(
        [*newer_python(), "-W", "ignore", str(script), str(tmp_path)],
        env={"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert 0 == answer.returncode, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["library"].endswith(f"{', '.join(TLS_KINDS)}; X25519MLKEM768")
    assert "ml-dsa-65" == found["node"]
    assert ["ml-dsa-87", "ml-dsa-87"] == found["agents"]
    assert [True, True] == found["pinned"]
    assert 0 == found["complaints"]


def certificate():
    """Return an ML-DSA key with its certificate, as the probe takes it."""
    key = new_tls_key("ml-dsa-65")
    signed = self_signed(key, "probe", now(), 1)
    return private_pem(key) + signed.public_bytes(Encoding.PEM)


def test_the_probe_tells_what_this_library_has():
    """It never guesses from a version: it shakes hands, or cannot."""
    found = tls_library(certificate())

    if tls_abilities.ssl.OPENSSL_VERSION_INFO >= (3, 5):
        assert TlsLibrary(TLS_KINDS, hybrid=True) == found
    else:
        assert TlsLibrary() == found
        assert "ec-p256; no key agreement that withstands" in str(found)


@pytest.mark.parametrize("octets", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_probe_without_a_key_finds_the_least(octets):
    """Whatever goes wrong means that ML-DSA cannot be used."""
    assert TlsLibrary() == tls_library(octets)


def test_the_group_is_read_from_the_servers_first_words():
    """A ServerHello as OpenSSL 3.5 begins it: session of 32 octets, version, then key share."""
    hello = bytes(5 + 4 + 2 + 32) + b"\x20" + bytes(32) + b"\x13\x02\x00" + b"\x04\x6e"
    hello += b"\x00\x2b\x00\x02\x03\x04" + b"\x00\x33\x04\x64" + b"\x11\xec" + bytes(100)

    assert HYBRID_GROUP == tls_abilities._group_of(hello)  # noqa: SLF001 - cannot be asked here
    assert 0 == tls_abilities._group_of(hello[: -102 - 4 - 6])  # noqa: SLF001 - without extensions


@pytest.fixture
def classical(monkeypatch):
    """A host whose TLS library has no ML-DSA."""
    monkeypatch.setattr(channel_keys, "tls_library_here", TlsLibrary)


@pytest.mark.usefixtures("classical")
def test_an_agent_does_not_make_tls_keys_that_it_cannot_use(tmp_path, capsys):
    """Nothing is written and the code is not used; the sentence says what is missing."""
    with wire_server(tmp_path / "node") as node:
        code = run(
            ["enroll", node.code(), "--data", str(tmp_path / "agent"), "--tls-key", "ml-dsa-65"]
        )

    assert 5 == code
    assert "has no ml-dsa-65 keys: that takes OpenSSL 3.5 or newer" in capsys.readouterr().err
    assert not (tmp_path / "agent").exists()


@pytest.mark.usefixtures("classical")
def test_an_agent_whose_library_became_older_says_so_at_its_start(tmp_path):
    """Its keys are there, and cannot be used."""
    place = Place(tmp_path)
    kinds = ChannelKinds("ml-dsa-44", "ed25519")
    make_identity(place.identity, "vault-a", now(), bytes, kinds)

    with pytest.raises(channel_keys.SettingsFault, match=r"OpenSSL 3\.5 or newer"):
        Identities(place, "vault-a", None)


def key(generation, tls, frames):
    """Return keys of a node."""
    node = Node(1, "pki.example:8444", bytes([generation]) * 32, bytes(32))
    return NodeKey(node, generation, ChannelKinds(tls, frames), b"", b"")


def told(peer, *keys):
    """Return which of these keys an agent is told of."""
    view = View(1, {}, (), (), {}, keys, {}, 0)
    return [one.generation for one in view.named_to(peer)]


def test_an_agent_is_told_of_the_newest_keys_that_it_can_verify():
    """Following others would be the end of its line; version 1 keeps to the oldest."""
    keys = (
        key(0, "ec-p256", "ed25519"),
        key(1, "ec-p256", "ml-dsa-65"),
        key(2, "ml-dsa-65", "ml-dsa-65"),
        key(3, "ec-p256", "ed25519"),
    )
    frames = ("ed25519", "ml-dsa-65")

    assert [3] == told(Peer(2, Abilities(TLS_KINDS, frames)), *keys)
    assert [2] == told(Peer(2, Abilities(TLS_KINDS, frames)), *keys[:3])
    assert [1] == told(Peer(2, Abilities(("ec-p256",), frames)), *keys[:3])
    assert [0] == told(Peer(2, Abilities(TLS_KINDS, ("ed25519",))), *keys[:3])
    assert [0] == told(Peer(), *keys)
    assert [3] == told(Peer(), *keys[1:])
    assert [] == told(Peer(), *keys[1:3])


def test_an_agent_that_cannot_speak_to_a_node_of_ml_dsa_says_what_helps(tmp_path):
    """OpenSSL 3.5 answers with an ML-DSA certificate, and this host's library has none of it."""
    if tls_library(certificate()).hybrid:
        pytest.skip("this Python has ML-DSA in TLS")
    file = tmp_path / "node.pem"
    file.write_bytes(certificate())
    command = [require_ml_dsa_openssl(), "s_server", "-accept", "127.0.0.1:0"]
    ours = make_identity(tmp_path / "id", "vault-a", now(), bytes)
    around = Surroundings(lambda: 0, bytes)
    with subprocess.Popen(
        [*command, "-cert", file, "-key", file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            address = next(line for line in server.stdout if line.startswith("ACCEPT")).split()[1]
            node = Node(1, address, bytes(32), bytes(32))

            with pytest.raises(NotReached, match=r"OpenSSL 3\.5 or newer; .*--classical"):
                open_line(node, ours, around, known=True)
        finally:
            server.kill()
