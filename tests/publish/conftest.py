"""The bundled publishers before real targets, with CRLs of throw-away authorities."""

import tomllib
from datetime import timedelta

import pytest

from pikaserver.clock import system_clock
from pikaserver.settings.loading import check_plugins
from pikaserver.settings.sources import Kind, Layer, Origin, merge
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.fake_server import FakeServer
from pikaserver_publish.plugin import register_publishers
from pikaserver_publish.settings import PublishSettings
from tests.publish.crls import make_crl, summary_of


def read_settings(text):
    """Return the settings of one target, named ``web``, written in TOML."""
    table = f"[plugins.publish.targets.web]\n{text}"
    sources = merge([Layer(tomllib.loads(table), Origin(Kind.FILE, "pikaserver.toml"))])
    return check_plugins(sources, {"publish": PublishSettings}, ["publish"])["publish"]


class House:
    """A server in memory with a root and ``issuing``, at the present time."""

    def __init__(self):
        self.clock = FrozenClock(system_clock().replace(microsecond=0))
        self.server = FakeServer(clock=self.clock)

    def publisher(self, text):
        """Return the publisher of one target, by its settings in TOML."""
        server = FakeServer([read_settings(text)], self.clock)
        server.authorities = self.server.authorities
        (made,) = register_publishers(server)
        return made

    def issue(self, authority="issuing"):
        """Return a fresh CRL, newer than all before."""
        self.clock.advance(timedelta(seconds=1))
        return self.server.crls.issue(authority)[0]

    def large(self, count):
        """Return a CRL that lists so many certificates."""
        key = self.server.authorities.keys["issuing"][0]
        return make_crl(key, summary_of(self.clock), range(1 << 64, (1 << 64) + count))

    def certificate(self, authority="issuing"):
        """Return an authority and its newest generation."""
        record = self.server.authorities.get(authority)
        return record, record.generations[0]


@pytest.fixture
def house():
    return House()


@pytest.fixture
def secret(tmp_path):
    """Write a secret to a file that only its owner reads, and return the path."""

    def write(text, name="secret"):
        path = tmp_path / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def settings_of():
    return read_settings
