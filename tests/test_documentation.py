"""The reference is complete: hooks, settings, exit codes and links are those of the code."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from pikaserver.cli import exit_codes
from pikaserver.settings import model
from pikaserver_acme.settings import AcmeSettings
from pikaserver_agents.settings import AgentSettings
from pikaserver_crl.plugin import CrlSettings
from pikaserver_est.plugin import EstSettings
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_openssl.settings import OpensslSettings
from pikaserver_publish.settings import PublishSettings
from pikaserver_scep.settings import ScepSettings
from pikaserver_tsa.settings import TsaSettings

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
SECTIONS = {
    "[data]": model.DataSettings,
    "[database]": model.DatabaseSettings,
    "[keys]": model.KeySettings,
    "[plugins]": model.PluginSettings,
    "[server]": model.ServerSettings,
    "[listeners.<name>]": model.ListenerSettings,
    "[limits]": model.LimitSettings,
    "[publishing]": model.PublishingSettings,
    "[audit]": model.AuditSettings,
    "[logs]": model.LogSettings,
}
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
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]


def chapters(page):
    """Return the text below each second-level heading that is set as code."""
    pieces = re.split(r"^## `(.+)`$", page, flags=re.MULTILINE)[1:]
    return {heading: text for n, (heading, text) in enumerate(pairwise(pieces)) if n % 2 == 0}


def documented(text):
    """Return key and default of each row of the tables in a text."""
    return dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|", text, flags=re.MULTILINE))


def test_the_hook_reference_is_the_code():
    """Each hook's exact signature is a heading, and below it stands its docstring."""
    module = ast.parse((ROOT / "pikaserver" / "hookspecs.py").read_text())
    hooks = {
        f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}": (
            f"\n\n{ast.get_docstring(node)}\n"
        )
        for node in module.body
        if isinstance(node, ast.FunctionDef)
    }

    written = chapters((REFERENCE / "hooks.md").read_text())

    assert [*hooks] == [*written]
    assert hooks == {heading: f"{text.rstrip()}\n" for heading, text in written.items()}


def test_every_section_of_the_settings_is_described():
    """A new section needs a heading; listeners are the only ones with names of their own."""
    names = {heading.strip("[]").removesuffix(".<name>") for heading in SECTIONS}

    assert names == {*model.HostSettings.model_fields}
    assert [*SECTIONS] == [*chapters((REFERENCE / "settings.md").read_text())]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_described_with_its_default(section):
    """Numbers and choices are compared; a default that is computed is told in words."""
    rows = documented(chapters((REFERENCE / "settings.md").read_text())[section])
    own = {key: default for key, default in rows.items() if "." not in key}

    assert {name.replace("_", "-") for name in SECTIONS[section].model_fields} == {*own}
    for name, field in SECTIONS[section].model_fields.items():
        if isinstance(field.default, (int, str)) and field.default:
            assert str(field.default) == own[name.replace("_", "-")].strip("`")


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_settings_of_plugins_that_ship_are_described(plugin):
    """They stand in the section of the plugins, with the plugin's name in front."""
    rows = documented(chapters((REFERENCE / "settings.md").read_text())["[plugins]"])

    own = {key.partition(".")[2] for key in rows if key.startswith(f"{plugin}.")}

    assert {name.replace("_", "-") for name in PLUGINS[plugin].model_fields} == own


def test_every_exit_code_is_described():
    """The page says the same of each as the code does."""
    table = re.findall(r"^(\d) +(.+)$", exit_codes.__doc__, flags=re.MULTILINE)
    page = (REFERENCE / "command-line.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.+) \|$", page, flags=re.MULTILINE)

    assert table == [(code, meaning.replace("`", "``")) for code, meaning in rows]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_front_pages_lead_somewhere(page):
    """Sphinx checks those of ``docs/``; nobody else checks these."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
