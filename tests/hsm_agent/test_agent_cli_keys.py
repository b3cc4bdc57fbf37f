"""``hsm-agent keys``, ``slots`` and ``provision`` while no agent runs on the folder."""

import json
import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from hsm_agent import clock
from hsm_agent.cli.main import run
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


def journal(shell):
    _, text, _ = shell("journal", "show", "-n", "50", "-o", "json")
    return json.loads(text)


def test_a_bare_keys_lists(shell):
    """With nothing there, it says so; as JSON it is an empty list."""
    assert (0, "There is no key yet.\n", "") == shell("keys")
    assert (0, "[]\n", "") == shell("keys", "-o", "json")
    assert (0, "[]\n", "") == shell("keys", "list", "-o", "json")


def test_a_key_is_made_listed_and_journaled(shell):
    """Under a profile of the policy it is ready at once."""
    code, text, errors = shell(
        "keys", "generate", "issuing", "--type", "ec-p384", "--profile", "issuing", "-o", "json"
    )
    key = json.loads(text)

    assert (0, "") == (code, errors)
    assert ("trial/issuing", "ec-p384", "ready") == (key["name"], key["key_type"], key["state"])
    assert 384 == load_pem_public_key(key["public_key"].encode()).curve.key_size
    assert [key] == json.loads(shell("keys", "-o", "json")[1])
    events = [line["event"] for line in journal(shell)]
    assert ["make", "generated"] == events[-2:]


def test_a_key_without_rules_says_what_it_lacks(shell):
    """It signs nothing until the policy names it."""
    code, text, errors = shell("keys", "generate", "mine")

    assert 0 == code
    assert "no-policy" in text
    assert '[keys."trial/mine"]' in errors


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["generate", "x", "--type", "ec-p999"], 1, "ec-p999 is not one of"),
        (["generate", "x", "--profile", "none"], 3, "the policy has no profile 'none'"),
        (["generate", "other/x"], 3, "'other' is no store here; there is trial"),
        (["generate", "../x"], 3, "'..' is no store here"),
        (["generate", "x", "--pin-policy", "always"], 1, "neither PIN nor touch policy"),
        (["certificate", "x"], 3, "'x' is no key here"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(shell, words, code, why):
    """And a code that says of which kind it is."""
    found, _, errors = shell("keys", *words)

    assert code == found
    assert why in errors
    assert 1 == errors.count("\n")


def test_a_label_is_taken_once(shell):
    """Exit code 7: nothing was changed."""
    shell("keys", "generate", "x", "--type", "ed25519")

    code, _, errors = shell("keys", "generate", "x", "--type", "ed25519")

    assert 7 == code
    assert "is there already" in errors


@pytest.mark.parametrize("form", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("secret", [b"", b"secret"])
def test_a_key_is_taken_from_a_file(shell, tmp_path, form, secret):
    """PEM or DER, open or under a passphrase; what to do with the file is said."""
    key = rsa.generate_private_key(65537, 2048)
    how = BestAvailableEncryption(secret) if secret else NoEncryption()
    file = tmp_path / "key"
    file.write_bytes(key.private_bytes(form, PrivateFormat.PKCS8, how))
    more = []
    if secret:
        passphrase = tmp_path / "passphrase"
        passphrase.write_bytes(secret + b"\n")
        passphrase.chmod(0o600)
        more = ["--passphrase-file", passphrase]

    code, text, errors = shell("keys", "import", "old", file, *more, "-o", "json")

    found = load_pem_public_key(json.loads(text)["public_key"].encode())
    assert 0 == code
    assert key.public_key().public_numbers() == found.public_numbers()
    assert "still holds the key" in errors
    assert "imported" == journal(shell)[-1]["event"]


def test_a_wrong_passphrase_is_told(shell, tmp_path):
    """Not with the library's words."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )

    code, _, errors = shell("keys", "import", "old", file)

    assert 1 == code
    assert "is there a passphrase?" in errors


def certificate(public_key, signing_key, *, ca=True):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing")])
    now = clock.now()
    return (
        x509.CertificateBuilder(name, name, public_key, 1, now, now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def test_the_certificate_of_an_authority_is_kept_and_shown(shell, tmp_path):
    """It must be over this key, and an authority's."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    shell("keys", "import", "issuing", file, "--profile", "issuing")
    good, leaf, foreign = (tmp_path / name for name in ("good.pem", "leaf.pem", "foreign.pem"))
    good.write_bytes(certificate(key.public_key(), key))
    leaf.write_bytes(certificate(key.public_key(), key, ca=False))
    other = ec.generate_private_key(ec.SECP256R1())
    foreign.write_bytes(certificate(other.public_key(), other))

    refused = [shell("keys", "certificate", "issuing", file)[0] for file in (leaf, foreign)]
    taken, _, _ = shell("keys", "certificate", "issuing", good)
    _, shown, _ = shell("keys", "certificate", "issuing")

    assert [1, 1, 0] == [*refused, taken]
    assert good.read_text().strip() == shown.strip()


def test_slots_shows_where_a_key_could_go(shell):
    """The trial store takes any label, and says what it is."""
    _, text, _ = shell("slots", "-o", "json")
    (store,) = json.loads(text)

    assert ("trial", "software", ["any"]) == (store["name"], store["kind"], store["free"])
    assert "trial" in store["details"]["protection"]
    assert "trial" in shell("slots")[1]


def test_provision_without_a_terminal_takes_options(shell):
    """And says how the server goes on with the key."""
    words = ["--label", "root", "--type", "ed25519", "--profile", "root", "--yes"]

    code, text, _ = shell("provision", *words)

    assert 0 == code
    assert "pikaserver ca create NAME --key agent:vault-a/trial/root --key-type ed25519" in text
    assert "trial/root" in shell("keys")[1]


def test_provision_without_a_terminal_asks_nobody(shell, monkeypatch):
    """It says what to give instead."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    code, _, errors = shell("provision", "--label", "x")

    assert 1 == code
    assert "there is no terminal" in errors


def test_provision_asks_step_by_step(shell, monkeypatch):
    """A number or a name; nothing is made before the last yes."""
    asked = []

    def person(*answers):
        left = list(answers)

        def answer(question):
            asked.append(question)
            return left.pop(0)

        monkeypatch.setattr("hsm_agent.cli.provision.ask", answer)

    person("issuing", "ed25519", "1", "no")
    assert 1 == shell("provision")[0]
    assert "[]\n" == shell("keys", "-o", "json")[1]

    person("issuing", "ed25519", "1", "yes")
    assert 0 == shell("provision")[0]
    (key,) = json.loads(shell("keys", "-o", "json")[1])
    assert ("trial/issuing", "ready") == (key["name"], key["state"])

    person("x", "nonsense")
    code, _, errors = shell("provision")
    assert (3, True) == (code, "'nonsense' is none of them" in errors)


def test_key_files_are_their_owners_alone(shell, data):
    """Whatever the umask is."""
    shell("keys", "generate", "x", "--type", "ed25519")

    modes = {stat.S_IMODE(one.stat().st_mode) for one in (data / "software-keys").iterdir()}
    assert {0o600} == modes
