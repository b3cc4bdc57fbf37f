"""The pages on publishers are those of the code, and their examples start a server."""

import re
import tomllib
from pathlib import Path

import pytest

from pikaserver.settings.loading import check_plugins
from pikaserver.settings.sources import Kind, Layer, Origin, merge
from pikaserver.testing.fake_server import FakeServer
from pikaserver_publish.plugin import register_publishers
from pikaserver_publish.settings import (
    FileTarget,
    HttpTarget,
    LdapTarget,
    MqttTarget,
    PublishSettings,
    S3Target,
    TargetSettings,
    TlsSettings,
)

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "publishers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^```toml\n(.*?)^```",
    (DOCS / "how-to" / "publish-crls.md").read_text(encoding="utf-8"),
    flags=re.MULTILINE | re.DOTALL,
)
SHARED = {*TargetSettings.model_fields, *TlsSettings.model_fields, "kind"}
CHAPTERS = {
    "All kinds": {*TargetSettings.model_fields, "kind"},
    "Targets over a network": {*TlsSettings.model_fields},
    "`file`": {*FileTarget.model_fields} - SHARED,
    "`http`": {*HttpTarget.model_fields} - SHARED,
    "`s3`": {*S3Target.model_fields} - SHARED,
    "`ldap`": {*LdapTarget.model_fields} - SHARED,
    "`mqtt`": {*MqttTarget.model_fields} - SHARED,
}
MODELS = (FileTarget, HttpTarget, S3Target, LdapTarget, MqttTarget)


def rows(title):
    """Return key and default of each row below a heading."""
    chapter = REFERENCE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|", chapter, flags=re.MULTILINE))


@pytest.mark.parametrize("title", CHAPTERS)
def test_every_setting_of_a_target_is_described(title):
    """With its default, where that is a word or a number."""
    found = rows(title)

    assert {name.replace("_", "-") for name in CHAPTERS[title]} == set(found)
    for model in MODELS:
        for name, field in model.model_fields.items():
            written = found.get(name.replace("_", "-"))
            if written is None or (title.startswith("`") and title != f"`{_kind(model)}`"):
                continue
            if isinstance(field.default, bool):
                assert str(field.default).lower() == written
            elif isinstance(field.default, (int, float, str)):
                assert str(field.default) == written.strip("`")
            if field.is_required() and name != "kind":
                assert "required" == written


def _kind(model):
    (kind,) = model.model_fields["kind"].annotation.__args__
    return kind


def test_the_examples_of_the_page_are_settings():
    """One of each kind, and a server would start with all of them."""
    document = tomllib.loads("\n".join(EXAMPLES))
    sources = merge([Layer(document, Origin(Kind.FILE, "publish.toml"))])
    settings = check_plugins(sources, {"publish": PublishSettings}, ["publish"])["publish"]

    publishers = register_publishers(FakeServer([settings]))

    assert {"file", "http", "s3", "ldap", "mqtt"} == {
        target.kind for target in settings.targets.values()
    }
    assert len(settings.targets) == len({one.target.place for one in publishers})
