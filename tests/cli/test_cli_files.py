"""Secrets are written for their owner alone, and never over something."""

import stat

import click
import pytest

from pikaserver.api.errors import ConfigurationError, Conflict, MalformedRequest
from pikaserver.cli import files


def test_a_secret_is_its_owners_alone(tmp_path):
    """Whatever the umask says."""
    path = tmp_path / "key"

    files.write_secret(path, b"secret")

    assert (0o600, b"secret") == (stat.S_IMODE(path.stat().st_mode), path.read_bytes())


def test_a_secret_is_written_over_nothing(tmp_path):
    """Neither over a file nor through a link."""
    path, link = tmp_path / "key", tmp_path / "link"
    path.write_bytes(b"old")
    link.symlink_to(tmp_path / "nothing")

    for taken in (path, link):
        with pytest.raises(Conflict, match="not overwritten"):
            files.write_secret(taken, b"new")

    assert b"old" == path.read_bytes()


@pytest.mark.parametrize(
    "write", [files.write_secret, lambda path, octets: files.write_output(octets, path)]
)
def test_a_folder_that_is_not_there_is_told(tmp_path, write):
    """One sentence with the path."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write(tmp_path / "none" / "file", b"x")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    """Nobody's certificate has a megabyte."""
    path = tmp_path / "large"
    path.write_bytes(bytes(files.LIMIT_OCTETS + 1))

    with pytest.raises(MalformedRequest, match="more than"):
        files.read_file(path)


def test_text_is_utf8(tmp_path):
    """All else is refused before anybody reads it."""
    path = tmp_path / "text"
    path.write_bytes(b"\xff")

    with pytest.raises(MalformedRequest, match="UTF-8"):
        files.read_text(path)


def test_a_passphrase_is_the_first_line(tmp_path):
    """With the line's end of any system left out."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"correct horse\r\nbattery\n")

    assert b"correct horse" == files.new_passphrase(path, "x") == files.known_passphrase(path, "x")


@pytest.mark.parametrize("content", [b"", b"\nsecond line", b"x" * 1025])
def test_an_empty_or_endless_passphrase_is_refused(tmp_path, content):
    """It would protect nothing, or is no passphrase."""
    path = tmp_path / "passphrase"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="no passphrase"):
        files.new_passphrase(path, "x")


def test_a_new_passphrase_is_typed_twice(monkeypatch):
    """What differs is asked for again; nothing is shown."""
    typed = iter(["correct horse", "corect horse", "correct horse", "correct horse"])
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: next(typed))

    assert b"correct horse" == files.new_passphrase(None, "x")


def test_a_known_passphrase_is_typed_once(monkeypatch):
    """It is tried on the file."""
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: "correct horse")

    assert b"correct horse" == files.known_passphrase(None, "x")


def test_octets_do_not_go_to_a_terminal(monkeypatch):
    """They would steer it."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    with pytest.raises(click.UsageError, match="--out"):
        files.write_output(b"\x00", None)
