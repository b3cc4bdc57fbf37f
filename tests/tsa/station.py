"""The time-stamping plugin before a server in memory."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.digests import digest as digest_octets
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.time_stamp_responses import read_response
from pikaserver.asn1.time_stamps import write_request
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver_tsa.plugin import register_services
from pikaserver_tsa.settings import AuthoritySettings, TsaSettings
from pikaserver_tsa.station import station
from pikaserver_tsa.storage import metadata

CONTENT = b"what is stamped"


def digest(name, content=CONTENT):
    return digest_octets(name, content)


def query(name="sha256", *, policy=None, nonce=7, certificate_wanted=True, content=CONTENT):
    """Return a request as a client writes it."""
    return write_request(
        name,
        digest(name, content),
        policy=policy,
        nonce=nonce,
        certificate_wanted=certificate_wanted,
    )


def token_of(answer):
    """Return the token of an answer that has one."""
    assert (200, "application/timestamp-reply") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    return read_signed_data(read_response(answer.content))


def failure_of(answer):
    """Return why there is none."""
    assert 200 == answer.status_code
    with pytest.raises(MalformedRequest) as refusal:
        read_response(answer.content)
    return str(refusal.value)


class Ticks:
    """A monotonic clock that goes with the frozen one, unless a test says otherwise."""

    def __init__(self, clock):
        self._clock = clock
        self._start = clock()
        self.off = 0.0

    def __call__(self):
        return (self._clock() - self._start).total_seconds() + self.off


class House:
    """A server in memory with its station."""

    def __init__(self, **settings):
        own = AuthoritySettings.model_validate(settings)
        self.server = FakeServer([TsaSettings(authorities={"issuing": own})])
        with self.server.database.transaction() as connection:
            metadata.create_all(connection)
        self.station = station(self.server)
        self.ticks = Ticks(self.server.clock)
        self.station.clock.monotonic = self.ticks
        self.client = ServiceClient(*register_services(self.server), tls=False)

    def post(self, octets, path="/tsa", kind="application/timestamp-query"):
        return self.client.send("POST", path, octets, headers={"content-type": kind})

    def pass_by(self, **time):
        """Let both clocks go on evenly."""
        self.server.clock.advance(timedelta(**time))

    def step(self, by):
        """Let the clock alone jump."""
        self.server.clock.advance(by)
        self.ticks.off -= by.total_seconds()
