"""Every settings file that ships loads, and the long one shows each setting with its default."""

import re
import tomllib
from pathlib import Path

import pytest

from pikaserver.settings.loading import check_host, check_plugins
from pikaserver.settings.model import HostSettings, LimitSettings, ListenerSettings, TlsSettings
from pikaserver.settings.origin import effective_values
from pikaserver.settings.sources import Kind, Layer, Origin, merge, nested
from pikaserver_acme.settings import AcmeSettings
from pikaserver_agents.settings import AgentSettings
from pikaserver_crl.plugin import CrlSettings
from pikaserver_est.plugin import EstSettings
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_openssl.settings import OpensslSettings
from pikaserver_publish.settings import PublishSettings
from pikaserver_scep.settings import ScepSettings
from pikaserver_tsa.settings import TsaSettings

CONFIG = Path(__file__).parent.parent / "config"
OF_AGENTS = {"hsm-agent.toml", "agent-policy.toml"}
"""Read by another program; ``tests/hsm_agent`` loads them."""
FILES = sorted(file for file in CONFIG.glob("*.toml") if file.name not in OF_AGENTS)
PRODUCTION = (CONFIG / "production.toml").read_text(encoding="utf-8")
PLUGINS = {
    "acme": AcmeSettings,
    "agents": AgentSettings,
    "crl": CrlSettings,
    "est": EstSettings,
    "ocsp": OcspSettings,
    "publish": PublishSettings,
    "scep": ScepSettings,
    "openssl": OpensslSettings,
    "tsa": TsaSettings,
}
ENABLED = {*PLUGINS, "renewal", "rest"} - {"publish"}
"""What is of use before anybody has named a target; "renewal" and "rest" have no settings."""
SERVICES = (ENABLED - {"agents", "openssl"}) | {"ndes", "profiles"}
"""What listeners serve: some plugins have further services, agents a socket of their own."""
COMMENTED_KEY = re.compile(r"^# ([a-z][a-z-]* = .+)$", re.MULTILINE)


def load_text(text):
    """Return host and plugin settings of a file's text."""
    sources = merge([Layer(tomllib.loads(text), Origin(Kind.FILE, "file"))])
    return check_host(sources), check_plugins(sources, PLUGINS, PLUGINS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_settings_file_loads(file):
    """And enables only what ships, behind listeners that serve it."""
    host, _ = load_text(file.read_text(encoding="utf-8"))

    served = {name for listener in host.listeners.values() for name in listener.serve}
    assert set(host.plugins.enabled) == ENABLED
    assert served == {"health", *SERVICES}
    for listener in host.listeners.values():
        assert listener.tls is not None or "est" not in listener.serve


def test_there_is_one_for_production_and_one_for_development():
    """Named so."""
    assert ["development.toml", "production.toml"] == [file.name for file in FILES]


def test_every_commented_setting_is_one():
    """All of them together load over what the file sets itself."""
    origin = Origin(Kind.FILE, "production.toml")
    commented = [Layer(nested(key, value), origin) for key, value in commented_values()]

    sources = merge([Layer(tomllib.loads(PRODUCTION), origin), *commented])

    assert "Client-Cert" == check_host(sources).listeners["devices"].proxy_certificate_header
    assert "issuing" == check_plugins(sources, PLUGINS, PLUGINS)["crl"].default_authority


def test_the_long_file_shows_every_setting():
    """A new setting needs a line here: set, or commented out with its default."""
    shown = set(re.findall(r"^(?:# )?([a-z][a-z-]*) = ", PRODUCTION, re.MULTILINE))
    shown |= {
        part
        for name in re.findall(r"^\[(.+)\]$", PRODUCTION, re.MULTILINE)
        for part in name.split(".")
    }
    models = [HostSettings, ListenerSettings, LimitSettings, *PLUGINS.values()]
    models += [field.annotation for field in HostSettings.model_fields.values()]

    wanted = {
        name.replace("_", "-") for model in models for name in getattr(model, "model_fields", {})
    }

    assert set() == wanted - shown
    assert {"certificate", "key", "also"} == set(TlsSettings.model_fields)
    assert set(TlsSettings.model_fields) <= set(re.findall(r"\w+(?= = )", PRODUCTION))


def test_the_defaults_that_are_shown_are_the_defaults():
    """What the file says and what happens without it are the same."""
    nothing = merge([])
    values = effective_values(HostSettings(), nothing)
    for name, model in PLUGINS.items():
        values += effective_values(model(), nothing, ("plugins", name))
    defaults = {value.key: value.value for value in values if value.value is not None}

    shown = {key: value for key, value in commented_values() if key in defaults}
    del shown["database", "url"]  # it follows the data folder

    assert {key: defaults[key] for key in shown} == shown
    sections = {"audit", "limits", "logs", "keys", "server", "plugins", "publishing"}
    assert sections == {key[0] for key in shown}


def commented_values():
    """Return what the commented lines say, by their whole keys."""
    table = ()
    for row in PRODUCTION.splitlines():
        if row.startswith("["):
            table = tuple(row.strip("[]").split("."))
        elif match := COMMENTED_KEY.match(row):
            ((key, value),) = tomllib.loads(match[1]).items()
            yield (*table, key), value
