"""``config`` shows every value with its place, ``plugins`` what there is, ``version`` what runs."""

import json

import pytest

from pikaserver.cli.main import run

CANARY = "canary-71aa"

GREETER = """
from pydantic import BaseModel, SecretStr
from pikaserver.api.hooks import hookimpl

class Settings(BaseModel):
    greeting: str = "Hello"
    base_url: str = ""
    api_token: SecretStr = SecretStr("")

@hookimpl
def register_settings():
    return Settings
"""


@pytest.fixture
def data(tmp_path, plugin_shelf):
    """Give a function that writes a settings file for a server with one plugin."""
    plugin_shelf.install("greeter", GREETER)

    def write(text):
        (tmp_path / "pikaserver.toml").write_text(text, encoding="utf-8")
        return ["--data", str(tmp_path)]

    return write


def test_config_show_prints_every_value_and_its_origin(data, capsys, monkeypatch):
    """Those of plugins included; secrets are masked."""
    place = data(
        "[plugins]\nenabled = ['greeter']\n"
        f"[plugins.greeter]\nbase-url = 'http://x'\napi-token = '{CANARY}'\n"
    )
    monkeypatch.setenv("PIKASERVER__LOGS__LEVEL", "debug")

    code = run(["config", "show", "--origin", "-o", "json", *place])

    written = capsys.readouterr().out
    rows = {row["setting"]: row for row in json.loads(written)}
    assert 0 == code
    assert CANARY not in written
    file = f"file {place[1]}/pikaserver.toml"
    assert ["greeter"] == rows["plugins.enabled"]["value"]
    assert ("http://x", file) == tuple(
        rows["plugins.greeter.base-url"][name] for name in ("value", "origin")
    )
    assert "default" == rows["plugins.greeter.greeting"]["origin"]
    assert ("debug", "environment PIKASERVER__LOGS__LEVEL") == tuple(
        rows["logs.level"][name] for name in ("value", "origin")
    )
    assert "flag --data" == rows["data.directory"]["origin"]


def test_config_show_is_a_table_by_default(data, capsys):
    """Setting and value."""
    assert 0 == run(["config", "show", *data("")])

    lines = capsys.readouterr().out.splitlines()
    assert ["SETTING", "VALUE"] == lines[0].split()
    assert ["logs.format", "text"] in [line.split() for line in lines]


def test_config_check_lists_all_problems(data, capsys):
    """Those of the host and those of plugins, each on a line of its own."""
    place = data(
        "[logs]\nformat = 'xml'\nlevl = 'x'\n"
        "[plugins]\nenabled = ['greeter']\n[plugins.greeter]\ngreting = 'x'\n[plugins.gretr]\n"
    )
    file = f"{place[1]}/pikaserver.toml"

    assert 5 == run(["config", "check", *place])

    written = capsys.readouterr()
    assert not written.out
    assert [
        f"{file}: logs.levl is not a setting; did you mean 'level'?",
        f"{file}: logs.format should be 'text' or 'json', not 'xml'",
        f"{file}: plugins.gretr is not a setting; did you mean 'greeter'?",
        f"{file}: plugins.greeter.greting is not a setting; did you mean 'greeting'?",
    ] == written.err.splitlines()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[plugins\n", "is not TOML"),
        ("[plugins]\nenabled = ['absent']\n", "'absent', which is not installed"),
    ],
)
def test_config_check_tells_what_stops_it(data, capsys, text, problem):
    """A file that cannot be read, a plugin that is not there."""
    assert 5 == run(["config", "check", *data(text)])

    assert problem in capsys.readouterr().err


def test_config_check_is_content_with_good_settings(data, capsys):
    """It says so and ends with 0."""
    assert 0 == run(["config", "check", *data("[plugins]\nenabled = ['greeter']\n")])

    assert "The settings are good.\n" == capsys.readouterr().out


def test_plugins_list_tells_enabled_installed_and_missing(data, capsys):
    """Enabled ones first, in their order."""
    place = data("[plugins]\nenabled = ['absent', 'greeter']\n")

    assert 0 == run(["plugins", "list", "-o", "json", *place])

    rows = json.loads(capsys.readouterr().out)
    assert [("absent", "missing"), ("greeter", "enabled")] == [
        (row["name"], row["state"]) for row in rows[:2]
    ]
    assert all("installed" == row["state"] for row in rows[2:])


def test_plugins_info_imports_only_what_is_enabled(data, capsys, plugin_shelf):
    """Installed is not enabled: a stranger's module does not run because somebody looks at it."""
    assert 0 == run(["plugins", "info", "greeter", "-o", "json", *data("")])
    installed = json.loads(capsys.readouterr().out)
    imported = plugin_shelf.imported("greeter")
    place = data("[plugins]\nenabled = ['greeter']\n")

    assert 0 == run(["plugins", "info", "greeter", "-o", "json", *place])

    enabled = json.loads(capsys.readouterr().out)
    assert not imported
    assert ("installed", "1.5", "pikaserver-greeter", "shelf_greeter") == tuple(
        installed[name] for name in ("state", "version", "distribution", "module")
    )
    assert ["register_settings"] == enabled["hooks"]
    assert ["greeting", "base-url", "api-token"] == enabled["settings"]


def test_plugins_info_of_an_unknown_one_suggests(data, capsys):
    """Exit code 3: not found."""
    assert 3 == run(["plugins", "info", "greter", *data("")])

    assert "no plugin 'greter' is installed (did you mean 'greeter'?)" in capsys.readouterr().err


def test_version_names_what_runs(capsys):
    """For reports of faults."""
    assert 0 == run(["version", "-o", "json"])

    assert {"pikaserver", "plugin_api", "python", "cryptography", "openssl", "system"} == set(
        json.loads(capsys.readouterr().out)
    )
