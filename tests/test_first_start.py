"""The first start: what it leaves on the disk, and what a broken attempt leaves behind."""

import os
import resource
import socket
import stat
import tomllib
from pathlib import Path

import pytest

from pikaserver.api.errors import KeyUnavailable
from pikaserver.authority import issuance
from pikaserver.first_start import FirstStart, set_up
from pikaserver.settings.loading import load
from pikaserver.testing.servers import free_port, make_server


@pytest.mark.parametrize("signatures", [0, 1])
def test_a_broken_attempt_is_made_again(tmp_path, monkeypatch, signatures):
    """The process may end at any moment; the same command goes on where it stopped."""
    wishes = FirstStart(tmp_path / "data", plugins=("crl",))
    sign, made = issuance.sign_tbs, []

    def stopping(*words):
        if len(made) == signatures:
            raise KeyUnavailable("the power is gone")
        made.append(words)
        return sign(*words)

    monkeypatch.setattr(issuance, "sign_tbs", stopping)
    with pytest.raises(KeyUnavailable):
        set_up(wishes, {})
    monkeypatch.undo()

    set_up(wishes, {})

    assert (tmp_path / "data" / "pikaserver.toml").exists()


def test_nobody_else_may_use_what_it_writes(tmp_path):
    """P7, also under a careless umask and in a folder that was there before."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        set_up(FirstStart(folder, plugins=("crl",)), {})
    finally:
        os.umask(before)

    written = list(folder.iterdir())
    assert {"pikaserver.db", "pikaserver.toml", "key-encryption-key"} <= {p.name for p in written}
    assert [] == [path.name for path in written if others_may(path)]


def test_no_core_dump_takes_the_keys_along(tmp_path):
    """Security design, decision 8; the rest of the process's memory is no better reading."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))

    with make_server(tmp_path / "data"):
        assert 0 == resource.getrlimit(resource.RLIMIT_CORE)[0]


def others_may(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def test_where_the_key_comes_from_is_written_down(tmp_path):
    """A passphrase in the environment of 'init' is looked for there by every later command."""
    environment = {
        "PIKASERVER__KEYS__KEY_ENCRYPTION_KEY": "environment:PKI_PASSPHRASE",
        "PKI_PASSPHRASE": "correct horse battery staple",
    }
    set_up(FirstStart(data=tmp_path / "data"), environment)

    settings = load({}, data=tmp_path / "data")

    assert "environment:PKI_PASSPHRASE" == settings.host.keys.key_encryption_key
    assert not (tmp_path / "data" / "key-encryption-key").exists()


def test_agents_are_awaited_beside_the_devices(tmp_path):
    """The port after theirs, another one where that is taken, or where the operator says."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            "beside": ({"https": f"127.0.0.1:{port - 1}"}, lambda found: found not in {0, port}),
            "free": ({"https": f"127.0.0.1:{free_port()}"}, lambda found: found > 0),
            "any": ({"https": "127.0.0.1:0"}, lambda found: found == 0),
            "told": ({"agents": "127.0.0.1:4711"}, lambda found: found == 4711),
        }
        for name, (wishes, fits) in cases.items():
            data = tmp_path / name
            set_up(FirstStart(data=data, plugins=("agents", "crl"), **wishes), {})
            bind = tomllib.loads((data / "pikaserver.toml").read_text())["plugins"]["agents"][
                "bind"
            ]
            host, _, number = bind.rpartition(":")
            assert ("127.0.0.1", True) == (host, fits(int(number)))
    without = tmp_path / "without"
    set_up(FirstStart(data=without, plugins=("crl",)), {})
    assert "agents" not in tomllib.loads((without / "pikaserver.toml").read_text())["plugins"]
