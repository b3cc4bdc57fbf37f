"""Settings of a plugin, and what is found wrong with them."""

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, Field, SecretStr

from pikaserver.settings.checking import SettingsRefused
from pikaserver.settings.loading import Settings
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


def plugin_problems(section, origin=FILE):
    sources = merge([Layer({"plugins": {"est": section}}, origin)])
    with pytest.raises(SettingsRefused) as refused:
        Settings(HostSettings(), sources).of_plugins({"est": PluginSection}, ["est", "crl"])
    return refused.value.problems
