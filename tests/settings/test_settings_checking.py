"""Wrong settings are refused in the words of whoever wrote them."""

import contextlib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from pikaserver.api.errors import ConfigurationError
from pikaserver.settings.checking import SettingsRefused, check
from pikaserver.settings.loading import Settings, check_host, load
from pikaserver.settings.model import HostSettings
from pikaserver.settings.sources import Kind, Layer, Origin, merge

FILE = Origin(Kind.FILE, "pikaserver.toml")


class Label(BaseModel):
    """A table within a plugin's section."""

    template: str
    max_age: int = 60


def _long(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < 32:
        raise AssertionError("is too short")
    return key


class PluginSection(BaseModel):
    """What a stranger's plugin may ask for; it does not forbid further keys itself."""

    label: str = "default"
    base_url: str | None = None
    labels: dict[str, Label] = {}
    ordered: list[Label] = []
    one: Label | None = None
    api_token: SecretStr | None = None
    hmac_key: Annotated[SecretStr, AfterValidator(_long)] | None = None
    keys_by_name: dict[str, Annotated[SecretStr, AfterValidator(_long)]] = {}
    count: int = Field(default=1, le=9)


def host_problems(table, origin=FILE):
    with pytest.raises(SettingsRefused) as refused:
        check_host(merge([Layer(table, origin)]))
    return refused.value.problems


def plugin_problems(section, origin=FILE):
    sources = merge([Layer({"plugins": {"est": section}}, origin)])
    with pytest.raises(SettingsRefused) as refused:
        Settings(HostSettings(), sources).of_plugins({"est": PluginSection}, ["est", "crl"])
    return refused.value.problems


class Near(BaseModel):
    """One kind of target."""

    kind: Literal["near"]
    folder: str


class Far(BaseModel):
    """Another one, with a secret."""

    kind: Literal["far"]
    url: str
    opener: SecretStr | None = None


class Targets(BaseModel):
    """Tables of the operator's own names, of several kinds."""

    targets: dict[str, Annotated[Near | Far, Field(discriminator="kind")]] = {}


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"kind": "near"}, "plugins.x.targets.web.folder is missing"),
        ({"kind": "near", "folder": 7}, "targets.web.folder should be a text in quotation marks"),
        ({"kind": "nea"}, "targets.web.kind should be one of 'near', 'far', not 'nea'"),
        ({}, "targets.web.kind is missing"),
        ({"kind": "far", "urk": "x"}, "targets.web.urk is not a setting; did you mean 'url'?"),
        ({"kind": "far", "url": "x", "opener": 1234}, "targets.web.opener should be a text"),
    ],
)
def test_kinds_of_tables_are_told_apart_and_their_names_stand_in_no_sentence(table, problem):
    """What was written is named, not which model was chosen; secrets are not shown."""
    sources = merge([Layer({"plugins": {"x": {"targets": {"web": table}}}}, FILE)])
    with pytest.raises(SettingsRefused) as refused:
        check(sources, Targets, ("plugins", "x"))

    assert any(problem in one for one in refused.value.problems), refused.value.problems
    assert not any("1234" in one for one in refused.value.problems)


def test_an_unknown_key_is_refused_with_a_suggestion():
    """In the spelling that the operator used, with the name of the file."""
    assert (
        "pikaserver.toml: plugins.est.labl is not a setting; did you mean 'label'?",
    ) == plugin_problems({"labl": "x"})


def test_a_variable_is_refused_by_its_own_name():
    """Who wrote a variable gets a variable as the suggestion."""
    origin = Origin(Kind.ENVIRONMENT, "PIKASERVER__PLUGINS__EST__LABL")

    (problem,) = plugin_problems({"labl": "x"}, origin)

    assert (
        "PIKASERVER__PLUGINS__EST__LABL is not a setting;"
        " did you mean 'PIKASERVER__PLUGINS__EST__LABEL'?"
    ) == problem


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


def test_all_problems_are_found_at_once():
    """The first one is the error's text, with the way to the others."""
    with pytest.raises(SettingsRefused) as refused:
        check_host(
            merge([Layer({"logs": {"format": "xml"}, "serber": {}, "server": {"node": 0}}, FILE)])
        )

    assert (
        "pikaserver.toml: serber is not a setting; did you mean 'server'?",
        "pikaserver.toml: server.node should be greater than or equal to 1, not 0",
        "pikaserver.toml: logs.format should be 'text' or 'json', not 'xml'",
    ) == refused.value.problems
    assert str(refused.value).endswith("'server'? ('pikaserver config check' lists 2 more)")
    assert isinstance(refused.value, ConfigurationError)


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


@pytest.mark.parametrize(
    ("listener", "problem"),
    [
        ({"bind": "8080"}, "bind should be 'HOST:PORT', '[::]:PORT' or 'unix:/PATH', not '8080'"),
        ({"bind": "::1:80"}, "bind should be 'HOST:PORT'"),
        ({"bind": "[::1]:65536"}, "bind should end in a port from 0 to 65535, not '65536'"),
        ({"bind": "x:²"}, "bind should end in a port"),
        ({"bind": "unix:run/x"}, "bind should be 'unix:' and an absolute path"),
        ({"bind": "x:1", "serve": ["est", "est"]}, "serves est twice"),
        ({"bind": "x:1", "serve": []}, "serve has too few items"),
        ({"bind": "x:1", "client-certificates": "required"}, "and has no tls"),
        ({"bind": "x:1", "tls": {"certificate": "auto", "key": "k"}}, "tls takes no key"),
        ({"bind": "x:1", "tls": {"certificate": "c.pem"}}, "tls needs a key"),
        ({"bind": "x:1", "trusted-proxies": ["proxy"]}, "trusted-proxies should hold addresses"),
        ({"bind": "x:1", "proxy-certificate-header": "X"}, "names no trusted-proxies"),
        ({"bind": "x:1", "limits": {"connectons": 1}}, "did you mean 'connections'?"),
        ({"bind": "x:1", "limits": {"workers": 0}}, "limits.workers should be greater"),
    ],
)
def test_a_wrong_listener_is_refused(listener, problem):
    """Each rule of ``[listeners.<name>]`` says what was expected and what was found."""
    (found,) = host_problems({"listeners": {"public": {"serve": ["crl"], **listener}}})

    assert found.startswith("pikaserver.toml: listeners.public")
    assert problem in found


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"listeners": {"Pub": {"bind": "x:1", "serve": ["a"]}}}, "listeners.Pub"),
        (
            {
                "listeners": {
                    "a": {"bind": "x:1", "serve": ["a"]},
                    "b": {"bind": "x:1", "serve": ["b"]},
                }
            },
            "listeners a and b share one address",
        ),
        ({"plugins": {"enabled": ["est", "est"]}}, "plugins enabled names est twice"),
        ({"plugins": {"enabeld": ["est"]}}, "plugins.enabeld is not a setting"),
        ({"plugins": "est"}, "plugins should be a table"),
        ({"keys": {"key-encryption-key": "vault:x"}}, "keys.key-encryption-key should be 'file:"),
        ({"keys": {"key-encryption-key": "file:"}}, "keys.key-encryption-key should be 'file:"),
        ({"server": {"base-urls": {"est": "pki.example"}}}, "server.base-urls.est should look"),
        ({"server": {"node": 128}}, "server.node should be less than or equal to 127"),
    ],
)
def test_wrong_host_settings_are_refused(table, problem):
    """One sentence each."""
    (found,) = host_problems(table)

    assert problem in found


def test_the_example_of_the_handbook_is_read():
    """Plain, TLS with optional client certificates, and a Unix socket for a proxy."""
    table = {
        "plugins": {"enabled": ["crl", "est"], "est": {"label": "x"}},
        "limits": {"connections": 100, "workers": 4},
        "listeners": {
            "public": {"bind": "192.0.2.1:8080", "serve": ["crl", "ocsp", "scep"]},
            "devices": {
                "bind": "[::]:8443",
                "tls": {"certificate": "auto"},
                "client-certificates": "optional",
                "serve": ["est"],
                "limits": {"connections": 10},
            },
            "proxied": {
                "bind": "unix:/run/pikaserver/web.sock",
                "serve": ["est"],
                "proxy-certificate-header": "Client-Cert",
            },
        },
    }

    host = check_host(merge([Layer(table, FILE)]))

    assert ["public", "devices", "proxied"] == list(host.listeners)
    assert ("192.0.2.1", 8080) == host.listeners["public"].address
    assert host.listeners["devices"].tls.automatic
    assert "/run/pikaserver/web.sock" == host.listeners["proxied"].unix_path
    assert (10, 4) == (
        host.limits_of("devices").connections,
        host.limits_of("devices").workers,
    )
    assert 100 == host.limits_of("public").connections
    assert "file" == host.keys.kind


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


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["bind", "serve", "tls", "limits", "node", "url"]) | st.text(), inner
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(HostSettings.model_fields)) | st.text(), values))
def test_no_document_raises_anything_else(table):
    """Whatever TOML holds, the answer is settings or a list of sentences."""
    with contextlib.suppress(SettingsRefused):
        check_host(merge([Layer(table, FILE)]))
