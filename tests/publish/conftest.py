"""The bundled publishers before real targets, with CRLs of throw-away authorities."""

import threading
import tomllib
from dataclasses import replace
from datetime import timedelta
from http.server import ThreadingHTTPServer

import pytest

from pikaserver.asn1.pem import write_pem
from pikaserver.clock import system_clock
from pikaserver.settings.loading import check_plugins
from pikaserver.settings.sources import Kind, Layer, Origin, merge
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.fake_server import FakeServer
from pikaserver_publish.plugin import register_publishers
from pikaserver_publish.settings import PublishSettings
from tests.publish.crls import make_crl, summary_of
from tests.publish.shop import Shop

DAY = timedelta(days=1)


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


@pytest.fixture
def shop():
    """A server with ``files``, ``asked`` and ``url``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.files, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def issuer(house, tmp_path):
    """The issuing authority's key, and its certificate in a file."""
    key = house.server.authorities.keys["issuing"][0]
    path = tmp_path / "issuer.pem"
    path.write_bytes(write_pem("CERTIFICATE", key.certificate))
    return path


@pytest.fixture
def crl(house):
    """Make CRLs of the issuing authority, the first of an hour ago."""
    key = house.server.authorities.keys["issuing"][0]

    def make(number, *, key=key, hours=-1, days=1, base_number=None, serials=()):
        at = house.clock() + timedelta(hours=hours, seconds=number)
        known = summary_of(house.clock, number, base_number=base_number)
        known = replace(known, this_update=at, next_update=at + days * DAY)
        return make_crl(key, known, serials).crl

    return make
