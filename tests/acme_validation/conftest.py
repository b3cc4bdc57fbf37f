"""Servers of the world outside, and questions about it."""

import base64
import hashlib
from dataclasses import replace

import pytest

from pikaserver.testing.fake_server import FakeServer
from pikaserver_acme.validation.question import Limits, Question, VantagePoint
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.challenges import FakeChallenges
from tests.acme_validation.dns_server import DnsServer
from tests.acme_validation.raw_server import RawServer

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # noqa: S105 - it is public, in a URL
KEY_AUTHORIZATION = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
ACCOUNT = "https://pki.example/acme/web/account/7"
PATH = f"/.well-known/acme-challenge/{TOKEN}"
DIGEST = (
    base64.urlsafe_b64encode(hashlib.sha256(KEY_AUTHORIZATION.encode()).digest())
    .rstrip(b"=")
    .decode()
)
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
