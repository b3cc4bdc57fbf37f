"""A service of the operator that decides."""

import base64
import hashlib
import hmac
import json

import pytest

from pikaserver.api.errors import NotAuthenticated
from pikaserver_scep.challenges.method import Postponed
from tests.scep_challenges.house import House
from tests.scep_challenges.tls_place import Quiet, serving

SECRET = "between us"  # noqa: S105 - a test's


class Decider(Quiet):
    """Answers what ``server.answer`` says, and keeps what it was asked."""

    def do_POST(self):  # noqa: N802 - as http.server calls it
        """Decide."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.headers["Pikaserver-Signature"], body))
        status, answer = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture(scope="module")
def place(tls_file):
    with serving(Decider, tls_file) as server:
        yield server


@pytest.fixture
def house(place, tls_file, secret):
    place.asked = []
    webhook = {
        "url": f"https://127.0.0.1:{place.server_port}/decide?for=scep",
        "secret-file": secret(SECRET),
        "ca-file": str(tls_file),
        "timeout-seconds": 60,
    }
    return House(
        webhooks={"inventory": webhook},
        templates={"device": {"methods": ["one-time", "webhook"], "webhook": "inventory"}},
    )


def ask(house, place, answer, status=200, password="asset-4711"):  # noqa: S107 - a test's
    place.answer = status, answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return house.ask(password)


def test_it_is_asked_with_all_that_it_needs_and_our_signature(house, place):
    """HMAC-SHA256 over time and body: the service knows that we ask."""
    accepted = ask(house, place, {"allow": True})

    ((signature, body),) = place.asked
    at, mac = (part.partition("=")[2] for part in signature.split(","))
    wanted = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    asked = json.loads(body)
    assert hmac.compare_digest(wanted, mac)
    assert int(house.clock().timestamp()) == int(at)
    assert ("device", "asset-4711", "CN=plc-21", "192.0.2.7") == (
        asked["template"],
        asked["challengePassword"],
        asked["subject"],
        asked["address"],
    )
    assert base64.b64decode(asked["certificateRequest"])
    assert ("webhook", False) == (accepted.method, accepted.approval)


def test_it_may_bind_the_name_and_want_a_person(house, place):
    """Both go with the requester."""
    accepted = ask(house, place, {"allow": True, "approval": True, "commonName": "plc-21"})

    assert ("plc-21", True) == (accepted.requester.common_name, accepted.approval)


@pytest.mark.parametrize(
    "answer", [{"allow": False}, {"allow": "true"}, {"allow": 1}, {}, {"allow": None}]
)
def test_nothing_but_the_word_true_lets_anybody_in(house, place, answer):
    """Not even what looks like it."""
    with pytest.raises(NotAuthenticated, match="the request is refused"):
        ask(house, place, answer)


def test_its_reason_is_given(house, place):
    """In one line."""
    with pytest.raises(NotAuthenticated, match="not in the inventory"):
        ask(house, place, {"allow": False, "reason": "not in the inventory"})


@pytest.mark.parametrize("name", ["", "x" * 201, 7])
def test_a_name_that_is_none_lets_nobody_in(house, place, name):
    """The service is broken: better nobody."""
    with pytest.raises(NotAuthenticated):
        ask(house, place, {"allow": True, "commonName": name})


@pytest.mark.parametrize(
    ("status", "answer"),
    [(500, b""), (302, b""), (200, b"<html>"), (200, b"[]"), (200, b"{" * 999)],
)
def test_a_service_that_cannot_say_lets_the_device_wait(house, place, status, answer):
    """It is asked again when the device polls."""
    assert isinstance(ask(house, place, answer, status), Postponed)


def test_a_known_challenge_does_not_reach_it(house, place):
    """The first method that knows the password decides."""
    house.ask(house.challenge())

    assert [] == place.asked
