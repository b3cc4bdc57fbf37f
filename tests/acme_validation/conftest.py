"""Servers of the world outside, and questions about it."""

from dataclasses import replace

import pytest

from pikaserver.testing.fake_server import FakeServer
from pikaserver_acme.validation.question import Limits, Question, VantagePoint
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.attesters import (
    Maker2,
)
from tests.acme_validation.challenges import FakeChallenges
from tests.acme_validation.dns_server import DnsServer
from tests.acme_validation.raw_server import RawServer
from tests.acme_validation.tokens import ACCOUNT, KEY_AUTHORIZATION, TOKEN

LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def dns():
    """Give a DNS server."""
    server = DnsServer()
    yield server
    server.close()


@pytest.fixture
def serve():
    """Return a function that makes servers, which end with the test."""
    made = []

    def make(say, context=None):
        made.append(RawServer(say, context))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def ask(dns):
    """Return a function that makes questions about loopback, through the DNS server."""

    def make(kind="http-01", name="www.example.org", *, limits=None, **changes):
        usual = Limits(
            vantage_points=(VantagePoint("here", (dns.address,)),),
            reachable=LOOPBACK,
            timeout_seconds=30,
        )
        question = Question(
            challenge_id=1,
            challenge_type=kind,
            identifier_type="dns",
            identifier_value=name,
            wildcard=False,
            subdomains=False,
            token=TOKEN,
            key_authorization=KEY_AUTHORIZATION,
            account_url=ACCOUNT,
            response=b"{}",
            limits=replace(usual, **(limits or {})),
        )
        return replace(question, **changes)

    return make


@pytest.fixture
def validation():
    """Give the validators on a server in memory; they look in the calling thread."""
    return Validation(FakeServer(), FakeChallenges(), ValidationSettings())


@pytest.fixture
def look(validation):
    """Return a function that looks once and gives the verdict."""

    def now(question):
        verdict, _again = validation.validate(question)
        return verdict

    return now


@pytest.fixture(scope="module")
def maker():
    """Give a maker of devices."""
    return Maker2("Stand-in")


@pytest.fixture
def attest(ask, look):
    """Return a function that asks about a device and gives the verdict."""

    def now(octets, value, roots=None, kind="permanent-identifier"):
        limits = {} if roots is None else {"attestation_roots": roots}
        question = ask(
            "device-attest-01", value, identifier_type=kind, response=octets, limits=limits
        )
        return look(question)

    return now
