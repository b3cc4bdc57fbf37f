"""The same commands work on PostgreSQL."""

import pytest

from pikaserver.testing.postgres import PostgresMissing, postgres_cluster


@pytest.fixture(scope="module")
def url():
    try:
        with postgres_cluster() as cluster:
            yield cluster.url(cluster.create_database())
    except PostgresMissing as missing:
        pytest.skip(str(missing))


def test_commands_do_not_care_which_database_it_is(fresh_shell, monkeypatch, url):
    """Set up, issue, revoke, sign a CRL, verify, check, and ask the doctor."""
    monkeypatch.setenv("PIKASERVER__DATABASE__URL", url)
    shell = type(fresh_shell)(fresh_shell.folder / "pg", fresh_shell.folder)
    ports = ("--http", "127.0.0.1:0", "--https", "127.0.0.1:0")
    shell("init", "--yes", "--hostname", "pki.example.test", *ports)

    words = ("--dns", "a.example.test", "--key-out", shell.folder / "a.key")
    serial = shell.json("cert", "issue", "--template", "web", *words)["serial"]
    shell("cert", "revoke", serial, "--reason", "superseded", "--yes")
    shell("crl", "generate")

    assert [serial] == [row["serial"] for row in shell.json("crl", "show", "issuing")["revoked"]]
    assert [serial] == [row["serial"] for row in shell.json("cert", "list", "--status", "revoked")]
    assert "postgresql" == shell.json("db", "state")["kind"]
    assert shell.json("db", "check")["intact"]
    assert shell.json("audit", "verify")["intact"]
    assert "crl.issued" == shell.json("audit", "list", "--last", "1")[0]["event"]
    assert "problem" not in {row["state"] for row in shell.json("doctor")}
    assert not (shell.data / "pikaserver.db").exists()
