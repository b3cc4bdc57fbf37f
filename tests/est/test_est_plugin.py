"""What the EST plugin gives to the host."""

import pytest
from pydantic import ValidationError

from pikaserver.api.web import Security
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver_est import plugin


def read(**settings):
    return plugin.EstSettings.model_validate(settings)


def test_without_settings_the_template_is_device():
    """The plugin needs no settings at all."""
    settings = plugin.register_settings()()

    assert ("device", "pikaserver") == (settings.default_template, settings.realm)


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_template": "web"},
        {"default-template": ""},
        {"greeting": "hello"},
        {"realm": 'a"b'},
        {"realm": "a\r\nb"},
        {"realm": "a\n"},
    ],
)
def test_unknown_and_unfit_settings_are_refused(wrong):
    """Keys are spelt as in the file, and nothing gets into a header."""
    with pytest.raises(ValidationError):
        read(**wrong)


def test_the_settings_reach_the_door():
    """Another default template, another realm."""
    server = FakeServer([read(**{"default-template": "web", "realm": "Plant 7"})])
    client = ServiceClient(*plugin.register_services(server))

    assert "'web'" in client.get("/.well-known/est/cacerts").text
    answer = client.send("POST", "/.well-known/est/device/simpleenroll")
    assert 'Basic realm="Plant 7", charset="UTF-8"' == answer.headers["www-authenticate"]


def test_est_wants_tls():
    """RFC 7030 section 3.3: a listener that gives less stops the start."""
    (service,) = plugin.register_services(FakeServer())

    assert ("est", Security.TLS) == (service.name, service.security)
    assert 16 == len(service.routes)


def test_the_urls_come_with_commands_that_can_be_filled_in():
    """`{url}` is the only thing left to replace."""
    for line in plugin.register_service_urls():
        assert "est" == line.service
        for _, command in line.commands:
            assert "{" not in command.replace("{url}", "")
