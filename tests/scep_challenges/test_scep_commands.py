"""The commands, on the data of a whole server."""

import json

import pytest

from pikaserver.cli.main import run
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Set up a server with the plugin; all its migrations run."""
    folder = tmp_path_factory.mktemp("commands") / "data"
    set_up(FirstStart(folder, plugins=("crl", "est", "scep")), {}, system_clock)
    return folder


@pytest.fixture
def scep(data, capsys):
    """Give the command: ``scep("challenge", "list")`` returns its exit code and what it says."""

    def call(*words):
        capsys.readouterr()
        code = run(["scep", *map(str, words), "--data", str(data), "-o", "json"])
        out, _ = capsys.readouterr()
        return code, json.loads(out) if out.strip() else None

    return call


def test_a_challenge_is_shown_once_listed_and_withdrawn(scep):
    """``-o json`` prints it where programs look for it."""
    code, made = scep("challenge", "create", "--template", "device", "--lifetime", "8h")
    _, listed = scep("challenge", "list")
    withdrawn = scep("challenge", "withdraw", made["id"])[0]

    assert (0, 0) == (code, withdrawn)
    assert 32 == len(made["challenge"])
    assert [("device", "one-time", 1)] == [
        (row["template"], row["method"], row["uses_left"]) for row in listed
    ]
    assert made["challenge"] not in json.dumps(listed)
    assert 0 != scep("challenge", "withdraw", made["id"])[0]


def test_passphrases_and_accounts_are_made_in_the_same_way(scep):
    """Shown once, listed without their secrets, withdrawn."""
    _, phrase = scep("passphrase", "create", "--template", "device")
    _, account = scep("ndes", "create", "EXAMPLE\\mdm", "--template", "device")
    phrases, accounts = scep("passphrase", "list")[1], scep("ndes", "list")[1]

    assert [phrase["id"]] == [row["id"] for row in phrases]
    assert ["EXAMPLE\\mdm"] == [row["user"] for row in accounts]
    assert phrase["passphrase"] not in json.dumps(phrases)
    assert account["password"] not in json.dumps(accounts)
    assert 0 == scep("passphrase", "withdraw", phrase["id"])[0]
    assert 0 == scep("ndes", "withdraw", "EXAMPLE\\mdm")[0]


def test_a_profile_is_written_for_its_owner_only(scep, tmp_path):
    """The challenge inside is a secret."""
    file = tmp_path / "ipad.mobileconfig"
    code, made = scep("profile", "create", "--subject", "iPad 7", "--out", file, "--link")

    assert 0 == code
    assert 0o600 == file.stat().st_mode & 0o777
    assert "/profiles/" in made["link"]
    assert "CN=iPad 7" == made["subject"]


@pytest.mark.parametrize(
    "words",
    [
        ("challenge", "create", "--lifetime", "soon"),
        ("challenge", "create", "--template", "nothing"),
        ("challenge", "create", "--uses", "0"),
        ("profile", "create", "--subject", "iPad"),
        ("profile", "create", "--subject", "x" * 65, "--link"),
        ("profile", "create", "--subject", "CN=a,=b", "--link"),
        ("ndes", "create", "a:b"),
    ],
)
def test_what_cannot_be_meant_is_refused(scep, words):
    """With a sentence and an exit code."""
    assert 0 != scep(*words)[0]
