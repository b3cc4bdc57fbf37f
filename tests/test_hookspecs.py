"""Hooks are typed, described and counted: whoever adds one changes a number here."""

import inspect
import typing
from collections.abc import Iterable

import pytest

from pikaserver import hookspecs
from pikaserver.api.server import Server
from pikaserver.plugin_hooks import specifications
from pikaserver.plugin_manager import Plugins

HOOKS = (
    "register_settings",
    "register_commands",
    "register_migrations",
    "register_signer_backends",
    "register_validators",
    "register_extension_providers",
    "register_lints",
    "register_authenticators",
    "register_services",
    "register_listeners",
    "register_service_urls",
    "register_publishers",
    "register_observers",
    "register_audit_sinks",
    "register_jobs",
    "register_health_checks",
    "register_metrics",
    "register_key_inventories",
    "startup",
    "shutdown",
)


def test_hooks_are_counted_and_stand_in_this_order():
    """The order is that of the reference; plugins rely on the names."""
    assert HOOKS == tuple(specifications())
    assert 20 == len(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_described_and_typed(hook):
    """One sentence that ends with a full stop; nothing but the server is handed in."""
    function = getattr(hookspecs, hook)
    hints = typing.get_type_hints(function)

    assert inspect.getdoc(function).endswith(".")
    assert "return" in hints
    assert {name: kind for name, kind in hints.items() if name != "return"} in (
        {},
        {"server": Server},
    )


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_asked_by_one_typed_method(hook):
    """The method returns what the hook promises, with the plugin's name beside each item."""
    asked = {"register_settings": "settings_models"}.get(hook, hook.removeprefix("register_"))
    promised = typing.get_type_hints(getattr(hookspecs, hook))["return"]

    returned = typing.get_type_hints(getattr(Plugins, asked))["return"]

    if typing.get_origin(promised) is Iterable:
        (item,) = typing.get_args(promised)
        assert list[tuple[str, item]] == returned
    else:
        assert returned in (type(None), dict[str, promised], list[tuple[str, item_of(promised)]])


def item_of(promised):
    """Return the type beside ``None``."""
    return next((kind for kind in typing.get_args(promised) if kind is not type(None)), promised)
