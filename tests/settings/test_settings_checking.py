"""Wrong settings are refused in the words of whoever wrote them."""

import contextlib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from pikaserver.api.errors import ConfigurationError
from pikaserver.settings.checking import SettingsRefused, check
from pikaserver.settings.loading import check_host
from pikaserver.settings.model import HostSettings
from pikaserver.settings.sources import Kind, Layer, Origin, merge
from tests.settings.checked import FILE, plugin_problems


def host_problems(table, origin=FILE):
    with pytest.raises(SettingsRefused) as refused:
        check_host(merge([Layer(table, origin)]))
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
