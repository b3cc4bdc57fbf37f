"""The database is described, checked and copied by command."""

import shutil
import sqlite3
import stat


def test_the_state_of_the_schema_is_told(shell):
    """By branch, with the place of the database."""
    state = shell.json("db", "state")

    assert "sqlite" == state["kind"]
    assert {"pikaserver"} <= {row["branch"] for row in state["schema"]}
    assert {"up to date"} == {row["state"] for row in state["schema"]}
    assert "up to date" in shell("db", "state").text
    assert [row["wanted"] for row in state["schema"]] == [
        row["revision"] for row in shell.json("db", "upgrade")
    ]


def test_looking_does_not_upgrade(fresh_shell):
    """``db state`` tells of an empty database and leaves it so; ``db upgrade`` mends it."""
    shell = fresh_shell
    (shell.data / "pikaserver.db").unlink()

    first, second = (shell.json("db", "state")["schema"][0]["state"] for _ in range(2))
    shell("db", "upgrade")

    assert "needs 'db upgrade'" == first == second
    assert "up to date" == shell.json("db", "state")["schema"][0]["state"]


def test_a_sound_database_is_sound(shell):
    """File, references and audit trail."""
    assert {"intact": True, "problems": []} == shell.json("db", "check")


def test_a_backup_is_a_whole_database(shell):
    """Its owner's alone, made beside a writer, and good for another start."""
    copy = shell.folder / "copy.db"
    writer = sqlite3.connect(shell.data / "pikaserver.db")
    try:
        row = shell.json("db", "backup", copy)
    finally:
        writer.close()

    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    assert copy.stat().st_size == row["octets"]
    assert "file:key-encryption-key" == row["keys_are_opened_by"]
    assert [copy] == [*shell.folder.glob("copy.db*")]
    before = shell.json("audit", "verify")
    shutil.copy(copy, shell.data / "pikaserver.db")
    for name in ("pikaserver.db-wal", "pikaserver.db-shm"):
        (shell.data / name).unlink(missing_ok=True)
    assert before == shell.json("audit", "verify")


def test_a_backup_overwrites_nothing(shell):
    """And a folder that is missing is told."""
    taken = shell.file("taken.db", "x")

    assert 7 == shell.try_("db", "backup", taken).code
    assert 5 == shell.try_("db", "backup", shell.folder / "none" / "x.db").code
    assert "x" == taken.read_text()


def test_a_folder_without_a_server_is_told(tmp_path, shell):
    """No empty database is made there."""
    other = type(shell)(tmp_path, tmp_path)

    for words in (("db", "state"), ("db", "backup", "x"), ("audit", "verify"), ("ca", "list")):
        answer = other.try_(*words)
        assert (5, True) == (answer.code, "pikaserver up" in answer.errors), words
    assert [] == [*tmp_path.iterdir()]


def test_a_database_server_has_its_own_backups(shell, monkeypatch):
    """Its tool is named, and the database is not even asked."""
    url = "postgresql://anna:secret@127.0.0.1:1/pki"
    monkeypatch.setenv("PIKASERVER__DATABASE__URL", url)

    answer = shell.try_("db", "backup", shell.folder / "pg.db")

    assert (5, True) == (answer.code, "pg_dump" in answer.errors)
    assert "secret" not in answer.errors


def test_a_clock_is_accepted_and_that_is_on_record(shell):
    """After it had run ahead; whoever is not sure says no."""
    assert 0 == shell.json("db", "accept-clock", "--yes")["crls_withdrawn"]
    assert "clock.accepted" == shell.json("audit", "list", "--last", "1")[0]["event"]
    assert 0 != shell.try_("db", "accept-clock", given="n\n").code
