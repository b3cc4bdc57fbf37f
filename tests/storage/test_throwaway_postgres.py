"""The throw-away cluster leaves nothing behind, and says what it needs."""

from pathlib import Path

import pytest

from pikaserver.testing import postgres as module
from pikaserver.testing.postgres import PostgresMissing, postgres_cluster


def test_a_missing_server_names_its_package(monkeypatch, tmp_path):
    """A suite that skips its tests tells how to run them."""
    monkeypatch.setattr(module.shutil, "which", lambda _program: None)
    monkeypatch.setattr(module, "_DEBIAN", tmp_path)

    with pytest.raises(PostgresMissing, match="apt install postgresql"), postgres_cluster():
        pass


def test_root_needs_somebody_to_run_the_server(monkeypatch):
    """PostgreSQL refuses root, so an ordinary user must exist."""
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(module, "_SERVER_USERS", ("no-such-user",))

    with pytest.raises(PostgresMissing, match="refuses root"), postgres_cluster():
        pass


def test_the_newest_server_is_taken(monkeypatch, tmp_path):
    """Debian keeps several side by side; versions are numbers, not words."""
    monkeypatch.setattr(module.shutil, "which", lambda _program: None)
    monkeypatch.setattr(module, "_DEBIAN", tmp_path)
    for version in ("9.6", "15", "17"):
        binary = tmp_path / version / "bin" / "initdb"
        binary.parent.mkdir(parents=True)
        binary.touch()

    assert tmp_path / "17" / "bin" == module._binaries()  # noqa: SLF001 - no other way to see it


def test_a_cluster_leaves_nothing_behind(postgres):
    """Its folder is gone after an error, too; two clusters do not meet."""
    urls = []

    def fail():
        with postgres_cluster() as cluster:
            urls.append(cluster.url("postgres"))
            raise ValueError("the test")

    with pytest.raises(ValueError, match="the test"):
        fail()

    assert urls != [postgres.url("postgres")]
    assert not Path(urls[0].partition("host=")[2]).exists()
