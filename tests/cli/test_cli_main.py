"""Nouns are found without importing the others; errors become one line and an exit code."""

import re
import subprocess
import sys

import click
import pytest

from pikaserver.api import errors
from pikaserver.cli import exit_codes, main
from pikaserver.cli.main import load_noun, run
from pikaserver.cli.registry import NOUNS, Noun


@pytest.fixture
def failing(monkeypatch):
    """Give a function that lets the noun ``version`` raise an error."""

    def let(error):
        @click.command()
        @click.option("--debug", is_flag=True, expose_value=False)
        def command():
            raise error

        monkeypatch.setattr(main, "load_noun", lambda _: command)

    return let


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_noun_is_where_the_table_says(noun):
    """And is described there as it describes itself."""
    command = load_noun(noun)

    assert noun.help == command.get_short_help_str(limit=100)


def test_nouns_are_named_once():
    """A second module of the same name would never be reached."""
    names = [noun.name for noun in NOUNS]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        ([], {"cryptography", "pluggy", "pydantic", "yaml"}),
        *(([noun.name], {"alembic", "falcon", "sqlalchemy"}) for noun in NOUNS),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_help_imports_no_heavy_module(words, heavy):
    """``--help`` is there in a moment, whatever the commands need."""
    code = (
        f"import sys; from pikaserver.cli.main import run; code = run({[*words, '--help']});"
        f"sys.exit(code or ' '.join({heavy} & set(sys.modules)) or 0)"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (0, "") == (answer.returncode, answer.stderr)
    assert "Usage: pikaserver" in answer.stdout


def test_help_tells_the_exit_codes(capsys):
    """Scripts rely on them."""
    assert exit_codes.DONE == run(["--help"])

    text = " ".join(capsys.readouterr().out.split())
    told = re.findall(r"(\d) [a-z]", text.partition("Exit codes:")[2])
    known = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert [value for value in known if isinstance(value, int)] == [int(code) for code in told]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.RequestRejected("no"), 1),
        (errors.MalformedRequest("no"), 1),
        (errors.NotAuthenticated("no"), 1),
        (errors.NotAllowed("no"), 1),
        (errors.SignatureFaulty("no"), 1),
        (errors.NotFound("no"), 3),
        (errors.Unavailable("no"), 4),
        (errors.KeyUnavailable("no"), 4),
        (errors.StorageUnavailable("no"), 4),
        (errors.TooManyRequests("no", 5), 4),
        (errors.ConfigurationError("no"), 5),
        (errors.Conflict("no"), 7),
        (PermissionError(13, "Permission denied", "/etc/x"), 1),
        (click.Abort(), 1),
        (click.UsageError("no"), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_has_its_code_and_no_traceback(failing, capsys, error, code):
    """One line on standard error says what happened."""
    failing(error)

    assert code == run(["version"])

    written = capsys.readouterr()
    assert not written.out
    assert "Traceback" not in written.err
    if isinstance(error, errors.PikaserverError):
        assert "pikaserver: no\n" == written.err


def test_debug_shows_where_an_error_arose(failing, capsys):
    """For reports of faults."""
    failing(errors.NotFound("no such thing"))

    assert 3 == run(["version", "--debug"])

    assert "Traceback" in capsys.readouterr().err


def test_a_command_may_end_with_its_own_code(monkeypatch):
    """``doctor`` tells that something is unhealthy."""

    @click.command()
    @click.pass_context
    def command(context):
        context.exit(exit_codes.UNHEALTHY)

    monkeypatch.setattr(main, "load_noun", lambda _: command)

    assert exit_codes.UNHEALTHY == run(["version"])


def test_a_misspelt_noun_is_refused_with_a_suggestion(capsys, tmp_path):
    """No plugin is enabled that could have brought it."""
    assert exit_codes.USAGE == run(["confg", "--data", str(tmp_path)])

    assert "No such command 'confg'. Did you mean 'config'?" in capsys.readouterr().err


GREETER = """
import click
from pikaserver.api.hooks import hookimpl

@hookimpl
def register_commands():
    @click.group()
    def greet():
        "Greet."

    @greet.command()
    @click.argument("name")
    def hello(name):
        click.echo(f"Hello {name}")

    return [greet]
"""


def enable(folder, *names):
    text = f"[plugins]\nenabled = {list(names)!r}\n"
    (folder / "pikaserver.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("place", ["--data={0}", "--data {0}", "--config {0}/pikaserver.toml"])
def test_enabled_plugins_bring_commands(plugin_shelf, tmp_path, capsys, place):
    """Found by the data folder or file that is named anywhere in the line."""
    plugin_shelf.install("greeter", GREETER)
    enable(tmp_path, "greeter")

    code = run(["greet", "hello", "Ada", *place.format(tmp_path).split()])

    assert (exit_codes.DONE, "Hello Ada\n") == (code, capsys.readouterr().out)


def test_installed_plugins_bring_no_commands(plugin_shelf, tmp_path):
    """Installed is not enabled; nor is it imported."""
    plugin_shelf.install("greeter", GREETER)

    assert exit_codes.USAGE == run(["greet", "hello", "Ada", "--data", str(tmp_path)])
    assert not plugin_shelf.imported("greeter")


def test_help_of_what_ships_is_there_before_any_server(tmp_path, monkeypatch, capsys):
    """Whoever reads how it goes has nothing set up yet; to do something, a plugin is enabled."""
    monkeypatch.chdir(tmp_path)

    told = run(["agent", "--help"])

    assert exit_codes.DONE == told
    assert "enroll" in capsys.readouterr().out
    assert exit_codes.USAGE == run(["agent", "list"])


def test_no_plugin_takes_the_hosts_nouns(plugin_shelf, tmp_path, capsys):
    """A plugin that offered ``config`` would get what was meant for the host."""
    plugin_shelf.install(
        "greeter",
        GREETER.replace("def greet()", "def config()")
        .replace("@greet", "@config")
        .replace("[greet]", "[config]"),
    )
    enable(tmp_path, "greeter")

    assert exit_codes.CONFIGURATION == run(["other", "--data", str(tmp_path)])
    assert "a plugin offers the command 'config' of the host" in capsys.readouterr().err


def test_a_noun_that_is_no_command_is_a_mistake_of_ours():
    """It shows in the table's test, not at an operator's desk."""
    with pytest.raises(TypeError, match="is not a command"):
        load_noun(Noun("x", "pikaserver.cli.registry:NOUNS", ""))
