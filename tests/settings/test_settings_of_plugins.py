"""Sections of plugins are checked as the server's own settings are."""

import pytest

from pikaserver.settings.checking import SettingsRefused, check
from pikaserver.settings.loading import Settings, load
from pikaserver.settings.model import HostSettings
from pikaserver.settings.sources import Layer, merge
from tests.settings.checked import FILE, PluginSection, plugin_problems


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"base_url": "x"}, "plugins.est.base_url is not a setting; did you mean 'base-url'?"),
        (
            {"labels": {"my_own": {"templat": "x", "template": "y"}}},
            "plugins.est.labels.my_own.templat is not a setting; did you mean 'template'?",
        ),
        ({"ordered": [{}]}, "plugins.est.ordered.template is missing"),
        ({"one": {"template": "x", "max-ag": 1}}, "plugins.est.one.max-ag is not a setting"),
        ({"count": 10}, "plugins.est.count should be less than or equal to 9, not 10"),
        ({"count": "many"}, "plugins.est.count should be a valid integer"),
        ({"labels": 1}, "plugins.est.labels should be a table"),
        ({"ordered": {}}, "plugins.est.ordered should be a list"),
        ({"xyzzy": 1}, "plugins.est.xyzzy is not a setting"),
    ],
)
def test_every_depth_speaks_of_the_written_key(section, problem):
    """Hyphens in files, underscores in models, an operator's own names untouched."""
    (found,) = plugin_problems(section)

    assert f"pikaserver.toml: {problem}" in found


def test_hyphenated_keys_reach_the_model():
    """At every depth."""
    table = {
        "base-url": "http://x",
        "labels": {"my_own": {"template": "t", "max-age": 5}},
        "ordered": [{"template": "u", "max-age": 6}],
    }

    checked = check(merge([Layer(table, FILE)]), PluginSection)

    assert "http://x" == checked.base_url
    assert 5 == checked.labels["my_own"].max_age
    assert 6 == checked.ordered[0].max_age


@pytest.mark.parametrize("section", [{"hmac-key": "CANARY"}, {"keys-by-name": {"a": "CANARY"}}])
def test_what_a_plugin_declares_as_a_secret_is_not_shown(section):
    """P7: a name that says nothing of secrets does not give one away."""
    (problem,) = plugin_problems(section)

    assert "is too short" in problem
    assert "CANARY" not in problem


@pytest.mark.parametrize("written", [4711, ["canary-4711"], {"canary-4711": 1}, True])
def test_a_secret_of_the_wrong_type_is_not_shown(written):
    """A PIN without quotation marks is a number, and still a secret."""
    (problem,) = plugin_problems({"api-token": written})

    assert "4711" not in problem


def test_a_section_of_no_plugin_is_refused():
    """A misspelt plugin name would silently lose its settings."""
    sources = merge([Layer({"plugins": {"esst": {}, "crl": {"any": 1}, "tsa": {}}}, FILE)])

    with pytest.raises(SettingsRefused) as refused:
        Settings(HostSettings(), sources).of_plugins({"est": None, "tsa": None}, ["crl", "est"])

    assert (
        "pikaserver.toml: plugins.esst is not a setting; did you mean 'est'?",
        "pikaserver.toml: plugins.tsa is there, but it has no settings",
    ) == refused.value.problems


def test_a_plugin_without_a_section_gets_its_defaults(tmp_path):
    """Good defaults need no file."""
    settings = load({}, data=tmp_path)

    assert {"est": PluginSection()} == settings.of_plugins({"est": PluginSection}, ["est"])
