"""Hooks are asked in order; what they return is checked, or the start stops."""

from datetime import timedelta
from types import SimpleNamespace

import click
import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, MetaData, Table

from pikaserver.api.errors import ConfigurationError, RequestRejected
from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import Job, Metric
from pikaserver.api.storage import Migrations
from pikaserver.api.web import Route, Security, Service
from pikaserver.plugin_manager import load

SERVER = object()


def part(**hooks):
    """Make a built-in part of named hooks."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def parts(**named):
    """Load built-in parts, each given by one hook's answer or by a dict of hooks."""
    return load([], built_in=[(name, part(**hooks)) for name, hooks in named.items()])


def service(name, *paths):
    return Service(name, Security.PLAIN, [Route(path, object()) for path in paths])


class Refuse:
    """A validator."""

    def check(self, request, template):
        """Refuse whatever it is."""
        raise RequestRejected("no")


def fails():
    raise RuntimeError("out of luck")


def generates_and_fails():
    yield Refuse()
    raise RuntimeError("out of luck")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda: None, "returned a NoneType from register_validators; it should return"),
        (Refuse, "returned a Refuse from register_validators"),
        (lambda: "x", "returned a str from register_validators"),
        (lambda: {"x": Refuse()}, "returned a dict from register_validators"),
        (lambda: [Refuse], "returned the class Refuse from register_validators"),
        (lambda: [Refuse(), 7], "returned a int from register_validators"),
        (fails, "failed in register_validators: RuntimeError: out of luck"),
        (generates_and_fails, "failed in register_validators: RuntimeError: out of luck"),
    ],
)
def test_a_hook_keeps_its_promise_or_the_start_stops(answer, sentence):
    """The sentence names the plugin and the hook."""

    def register_validators():
        return answer()

    plugins = parts(odd={"register_validators": register_validators})

    with pytest.raises(ConfigurationError, match=f"the plugin 'odd' {sentence}"):
        plugins.validators(SERVER)


def test_a_plugins_own_complaint_passes_through():
    """A plugin that refuses its settings writes the sentence itself."""

    def register_services():
        raise ConfigurationError("plugins.est.label names no template")

    plugins = parts(est={"register_services": register_services})

    with pytest.raises(ConfigurationError) as refused:
        plugins.services(SERVER)

    assert "the plugin 'est': plugins.est.label names no template" == str(refused.value)


def test_hooks_may_generate_and_take_no_argument():
    """Any iterable will do, and a hook takes what it needs."""

    def register_services():
        yield service("a", "/a")
        yield service("b", "/b")

    plugins = parts(two={"register_services": register_services})

    assert ["a", "b"] == [door.name for _, door in plugins.services(SERVER)]


def backend(scheme):
    return SimpleNamespace(scheme=scheme, keys=list, generate=lambda *_: b"", open=lambda *_: None)


def job(name):
    return Job(name, timedelta(seconds=1), lambda: None)


@pytest.mark.parametrize(
    ("hook", "method", "first", "second", "what"),
    [
        (
            "register_signer_backends",
            "signer_backends",
            backend("agent"),
            backend("agent"),
            "key-reference scheme 'agent'",
        ),
        ("register_services", "services", service("a", "/a"), service("a", "/b"), "service 'a'"),
        (
            "register_services",
            "services",
            service("a", "/crl/{name}"),
            service("b", "/crl/{authority:str}"),
            r"path '/crl/\{\}'",
        ),
        ("register_jobs", "jobs", job("tidy"), job("tidy"), "job 'tidy'"),
        (
            "register_metrics",
            "metrics",
            Metric("pikaserver_x", "X.", "gauge", list),
            Metric("pikaserver_x", "X.", "gauge", list),
            "metric 'pikaserver_x'",
        ),
    ],
)
def test_a_name_given_twice_stops_the_start(hook, method, first, second, what):
    """Between two plugins as well as within one."""

    def answers(*items):
        return {hook: lambda: items}

    two = parts(one=answers(first), other=answers(second))
    one = parts(one=answers(first, second))

    with pytest.raises(ConfigurationError, match=f"plugins 'one' and 'other' .* the {what} twice"):
        getattr(two, method)(SERVER)
    with pytest.raises(ConfigurationError, match=f"the plugin 'one' offers the {what} twice"):
        getattr(one, method)(SERVER)
    assert [first] == [item for _, item in getattr(parts(one=answers(first)), method)(SERVER)]


def test_commands_are_named_once():
    """Commands are asked for without a server."""

    def register_commands():
        return [click.Command("hello"), click.Command("hello")]

    with pytest.raises(ConfigurationError, match="command 'hello' twice"):
        parts(one={"register_commands": register_commands}).commands()


def test_metrics_begin_with_our_name():
    """Whoever scrapes several programs must be able to tell them apart."""

    def register_metrics():
        return [Metric("est_total", "X.", "counter", list)]

    with pytest.raises(ConfigurationError, match="metric 'est_total'"):
        parts(est={"register_metrics": register_metrics}).metrics(SERVER)


class Model(BaseModel):
    """Settings of a plugin."""


def an_object():
    return Model()


def test_settings_models_are_classes():
    """Every plugin is listed, those without settings too."""
    plugins = parts(
        est={"register_settings": lambda: Model},
        crl={"register_settings": lambda: None},
        ocsp={},
    )

    assert {"est": Model, "crl": None, "ocsp": None} == plugins.settings_models()
    with pytest.raises(ConfigurationError, match="returned a Model from register_settings"):
        parts(est={"register_settings": an_object}).settings_models()


def no_list():
    return []


def migrations(branch, table):
    metadata = MetaData()
    Table(table, metadata, Column("id", Integer, primary_key=True))
    return Migrations(branch, "package", metadata)


def test_tables_and_branches_are_named_after_their_plugin():
    """Two plugins can then never share a table."""
    good = migrations("my-acme", "my_acme_order")

    found = parts(
        **{
            "my-acme": {"register_migrations": lambda: good},
            "x": {"register_migrations": no_list},
        }
    )

    with pytest.raises(ConfigurationError, match="returned a list from register_migrations"):
        found.migrations()
    assert [("my-acme", good)] == parts(
        **{"my-acme": {"register_migrations": lambda: good}}
    ).migrations()
    for branch, table in (("acme", "my_acme_order"), ("my-acme", "order")):
        odd = migrations(branch, table)
        with pytest.raises(ConfigurationError, match="'my-acme'"):
            parts(**{"my-acme": {"register_migrations": lambda odd=odd: odd}}).migrations()


def trace(calls, name, *, failing=False):
    def startup():
        calls.append(f"start {name}")
        if failing:
            raise RuntimeError("out of luck")

    def shutdown():
        calls.append(f"stop {name}")

    return {"startup": startup, "shutdown": shutdown}


def test_plugins_start_in_order_and_stop_in_reverse():
    """What was built last goes first, and only once."""
    calls = []
    plugins = parts(a=trace(calls, "a"), b=trace(calls, "b"))

    plugins.startup(SERVER)
    plugins.shutdown(SERVER)
    plugins.shutdown(SERVER)

    assert ["start a", "start b", "stop b", "stop a"] == calls


def test_a_failing_start_undoes_the_starts_before_it():
    """Nothing is left half started."""
    calls = []
    plugins = parts(a=trace(calls, "a"), b=trace(calls, "b", failing=True), c=trace(calls, "c"))

    with pytest.raises(ConfigurationError, match="the plugin 'b' failed in startup"):
        plugins.startup(SERVER)

    assert ["start a", "start b", "stop a"] == calls


def test_one_failing_shutdown_does_not_stop_the_others(caplog):
    """It is logged with the plugin's name."""
    calls = []
    plugins = parts(a=trace(calls, "a"), b={"shutdown": fails})

    plugins.startup(SERVER)
    plugins.shutdown(SERVER)

    assert ["start a", "stop a"] == calls
    assert ["b"] == [record.plugin for record in caplog.records]
