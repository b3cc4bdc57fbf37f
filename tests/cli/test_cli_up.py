"""``up``, ``run`` and ``init``: what a first start refuses, and what it leaves behind."""

import json

import pytest

from pikaserver.api.errors import KeyUnavailable
from pikaserver.authority.issuance import Issuance
from pikaserver.cli import exit_codes
from pikaserver.cli.main import run
from pikaserver.storage.database import server_lock


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (["--key", "rsa4096"], "--key 'rsa4096' is not a key type; there are: rsa-2048"),
        (["--subject", "Example"], "--subject: 'Example' is not a subject like"),
        (["--subject", "CN=x,O=Example"], "--subject goes without CN"),
        (["--hostname", "bad_host!"], "--hostname: the DNS name 'bad_host!'"),
        (["--hostname", "0.0.0.0"], "--hostname: 0.0.0.0 is not the address of a host"),  # noqa: S104 - refused here
    ],
)
def test_a_wish_that_cannot_be_met_leaves_nothing_behind(tmp_path, capsys, wish, reason):
    """One sentence names the flag; the folder is as it was, so the next try starts afresh."""
    folder = tmp_path / "data"

    code = run(["up", "--yes", "--data", str(folder), *wish])

    assert exit_codes.CONFIGURATION == code
    assert reason in capsys.readouterr().err
    assert not folder.exists()


def test_run_says_that_nothing_is_set_up(tmp_path, capsys):
    """A folder that is not there is no unwritable disk."""
    code = run(["run", "--data", str(tmp_path / "data")])

    assert exit_codes.CONFIGURATION == code
    assert "'pikaserver up' does that" in capsys.readouterr().err


def test_a_file_without_plugins_is_told_from_an_empty_folder(tmp_path, capsys):
    """``up`` would not touch it: the way out is ``conf.d``."""
    (tmp_path / "pikaserver.toml").write_text("[server]\nnode = 2\n", encoding="utf-8")

    assert exit_codes.CONFIGURATION == run(["ca", "list", "--data", str(tmp_path)])
    assert "keep settings of your own in" in capsys.readouterr().err


def test_settings_in_conf_d_count_for_the_first_start(tmp_path, capsys, monkeypatch):
    """A database elsewhere has to be known first; later the file alone says where all is."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere.db"
    (data / "conf.d").mkdir(parents=True)
    own = f'[database]\nurl = "sqlite:///{elsewhere}"\n'
    (data / "conf.d" / "database.toml").write_text(own, encoding="utf-8")

    assert exit_codes.DONE == run(["init", "--yes", "--data", str(data)])
    monkeypatch.chdir("/")
    assert exit_codes.DONE == run(["ca", "list", "--config", str(data / "pikaserver.toml")])

    assert "CN=Pikaserver Root CA" in capsys.readouterr().out
    assert elsewhere.exists()
    assert not (data / "pikaserver.db").exists()


def test_a_missing_passphrase_is_no_plugins_fault(tmp_path, capsys, monkeypatch):
    """The host's own hooks are not called a plugin, which nobody enabled."""
    monkeypatch.setenv("PIKASERVER__KEYS__KEY_ENCRYPTION_KEY", "environment:NOT_THERE")

    assert exit_codes.CONFIGURATION == run(["init", "--yes", "--data", str(tmp_path / "data")])
    assert "pikaserver: the environment has no NOT_THERE\n" == capsys.readouterr().err


def test_a_first_start_that_was_broken_off_is_made_again(tmp_path, capsys, monkeypatch):
    """The root's key was made and had not signed yet: it signs now, and nothing is there twice."""
    words = ["--data", str(tmp_path / "data")]

    def no_power(*_):
        raise KeyUnavailable("the power went")

    with monkeypatch.context() as broken:
        broken.setattr(Issuance, "issue", no_power)
        assert exit_codes.UNAVAILABLE == run(["init", "--yes", *words])
    assert exit_codes.DONE == run(["init", "--yes", *words])
    capsys.readouterr()
    run(["ca", "list", "-o", "json", *words])

    found = json.loads(capsys.readouterr().out)
    assert [("root", "enabled"), ("issuing", "enabled")] == [(a["name"], a["state"]) for a in found]


def test_two_first_starts_do_not_mix(tmp_path, capsys):
    """The second one is told so, before it makes anything."""
    with server_lock(tmp_path):
        assert exit_codes.CONFIGURATION == run(["init", "--yes", "--data", str(tmp_path)])

    assert "runs on" in capsys.readouterr().err
    assert not (tmp_path / "pikaserver.db").exists()
