"""Plugins are found, imported and checked; whatever is wrong with one stops the start."""

from types import SimpleNamespace

import pytest

from pikaserver.api import VERSION
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.hooks import hookimpl
from pikaserver.plugin_discovery import installed
from pikaserver.plugin_manager import load

SERVER = object()
EMPTY = "from pikaserver.api.hooks import hookimpl\n"


class Accept:
    """A validator."""

    def check(self, request, template):
        """Accept whatever it is."""


def test_only_enabled_plugins_are_imported_and_in_their_order(plugin_shelf):
    """Installed is not enabled; the configured order is the order of questions."""
    for name in ("one", "two", "three"):
        plugin_shelf.install(
            name,
            f"""
            from pikaserver.api.hooks import hookimpl
            from pikaserver.api.operations import Health, HealthCheck, HealthState

            @hookimpl
            def register_health_checks():
                return [HealthCheck("{name}", lambda: Health(HealthState.OK, "fine"))]
            """,
        )

    plugins = load(["two", "one"])

    assert ["two", "one"] == [name for name, _ in plugins.health_checks(SERVER)]
    assert ["two", "one"] == plugins.names
    assert ["register_health_checks"] == plugins.hooks("one")
    assert not plugin_shelf.imported("three")


def test_the_hosts_own_parts_are_asked_first(plugin_shelf):
    """They come by the same hooks."""
    plugin_shelf.install("one", EMPTY + "@hookimpl\ndef register_validators(): return ()\n")
    built_in = SimpleNamespace(register_validators=hookimpl(lambda: [Accept()]))

    plugins = load(["one"], built_in=[("host", built_in)])

    assert ["host", "one"] == plugins.names
    assert ["host"] == [name for name, _ in plugins.validators(SERVER)]


def test_installed_plugins_are_described_without_importing_them(plugin_shelf):
    """For ``pikaserver plugins list``."""
    plugin_shelf.install("one", "raise RuntimeError")

    (plugin,) = [plugin for plugin in installed() if plugin.name == "one"]

    assert ("shelf_one", "pikaserver-one", "1.5", "Does one") == (
        plugin.module,
        plugin.distribution,
        plugin.version,
        plugin.summary,
    )
    assert not plugin_shelf.imported("one")


def test_an_unknown_plugin_is_refused_with_a_suggestion(plugin_shelf):
    """The sentence lists what is installed."""
    plugin_shelf.install("greeter", EMPTY)

    with pytest.raises(ConfigurationError) as refused:
        load(["greter"])

    assert "plugins.enabled names 'greter', which is not installed (did you mean 'greeter'?)" in (
        str(refused.value)
    )
    assert "greeter" in str(refused.value).partition("installed are:")[2]


def test_two_distributions_with_one_plugin_name_are_refused(plugin_shelf):
    """Which of them would run must not depend on an order of folders."""
    plugin_shelf.install("one", EMPTY, distribution="first")
    plugin_shelf.install("one", EMPTY, distribution="second", module="shelf_other")

    with pytest.raises(
        ConfigurationError, match=r"'one' is brought by .*first.*second|second.*fir"
    ):
        load(["one"])


def test_a_plugin_is_enabled_once(plugin_shelf):
    """A name written twice is a mistake."""
    plugin_shelf.install("one", EMPTY)

    with pytest.raises(ConfigurationError, match="the plugin 'one' is enabled twice"):
        load(["one", "one"])


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("import absent_module", "cannot be imported: ModuleNotFoundError"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("REQUIRES = (99, 0)", r"needs the plugin API 99\.0; this is "),
        (f"REQUIRES = ({VERSION[0]}, 999)", rf"needs the plugin API {VERSION[0]}\.999"),
        ("REQUIRES = '1'", "needs the plugin API '1'"),
        (
            "@hookimpl\ndef register_servces(server): ...",
            r"hook 'register_servces', which does not exist \(did you mean 'register_services'\?\)",
        ),
        (
            "@hookimpl\ndef register_services(sever): ...",
            "hook register_services with the argument 'sever'; it may take: server",
        ),
        (
            "@hookimpl\ndef register_settings(server): ...",
            "register_settings with the argument 'server'; it may take: nothing",
        ),
        ("def register_services(server): ...", "has a register_services without @hookimpl"),
        (
            "@hookimpl(tryfirst=True)\ndef startup(): ...",
            "marks startup with options",
        ),
        (
            "@hookimpl(wrapper=True)\ndef startup():\n    yield",
            "marks startup with options",
        ),
    ],
)
def test_a_faulty_plugin_stops_the_start(plugin_shelf, source, sentence):
    """One sentence that names the plugin; what Python said is chained to it."""
    plugin_shelf.install("faulty", EMPTY + source)

    with pytest.raises(ConfigurationError, match=f"the plugin 'faulty' .*{sentence}"):
        load(["faulty"])


def test_the_cause_of_a_failing_import_is_kept(plugin_shelf):
    """``--debug`` shows it."""
    plugin_shelf.install("faulty", "1 / 0")

    with pytest.raises(ConfigurationError) as refused:
        load(["faulty"])

    assert isinstance(refused.value.__cause__, ZeroDivisionError)


def test_the_present_api_is_accepted(plugin_shelf):
    """And every earlier one with the same first number."""
    plugin_shelf.install("good", f"REQUIRES = {VERSION!r}")

    assert ["good"] == load(["good"]).names
