"""Requests that are well signed and odd: on both databases, no fault of ours comes of them."""

import hmac
import json

import pytest

from pikaserver.testing.client import ServiceClient
from pikaserver.testing.servers import make_server
from pikaserver_acme.office import office
from pikaserver_acme.plugin import register_services
from tests.acme.desk import ENVIRONMENT, Desk, HeldValidators, b64, dns_names, problem

HUGE = 10**30


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory):
    """One server for each kind of database: each chokes on something else."""
    url = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    folder = tmp_path_factory.mktemp("odd")
    with make_server(folder, environment=ENVIRONMENT, database_url=url) as made:
        here = office(made.for_plugins)
        here.validators = here.asking._validators = HeldValidators()  # noqa: SLF001 - the seam of tests
        yield made


@pytest.fixture(scope="module")
def web(server):
    return ServiceClient(*register_services(server.for_plugins))


@pytest.fixture
def desk(server, web):
    made = Desk.make(server, web)
    made.register()
    return made


@pytest.mark.parametrize("policy", ["%00", "a%0d%0aX:%20y", "%ff", "none", "x" * 500, "%E2%84%AA"])
@pytest.mark.parametrize("resource", ["directory", "new-nonce"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_directory_is_named_by_a_name(web, policy, resource, method):
    """What was typed goes neither to the database nor into a header."""
    answer = web.send(method, f"/acme/{policy}/{resource}")

    assert 404 == answer.status_code
    assert "link" not in answer.headers


@pytest.mark.parametrize("token", ["%00", "x" * 500, "%ff", "a"])
def test_a_url_of_followers_is_a_token(desk, web, token):
    """RFC 8739: the URL that anybody may ask."""
    answer = web.get(f"/acme/{desk.policy}/star/{token}")

    assert (404, "malformed") == (answer.status_code, problem(answer))


@pytest.mark.parametrize(
    "path",
    [f"order/{HUGE}", f"challenge/{HUGE}", f"authorization/{HUGE}", f"certificate/{HUGE}",
     f"certificate/1/{HUGE}", f"order/{HUGE}/finalize", f"order/{2**63}", f"account/{HUGE}"],
)  # fmt: skip
def test_numbers_end_where_the_databases_do(desk, path):
    """Beyond, there is nothing."""
    assert (404, "malformed") == ((answer := desk.post(path)).status_code, problem(answer))


@pytest.mark.parametrize("kid", ["\ud800", "\0", "x" * 5000, "kid", "", "\u212a"])
def test_an_external_account_is_named_by_a_word(desk, kid):
    """Whatever it is, the answer is that of an unknown one."""
    stranger = desk.another()
    header = {"alg": "HS256", "kid": kid, "url": stranger.url("new-account")}
    parts = b64(json.dumps(header).encode()), b64(json.dumps(stranger.key.as_dict()).encode())
    mac = hmac.digest(bytes(32), ".".join(parts).encode(), "sha256")
    binding = {"protected": parts[0], "payload": parts[1], "signature": b64(mac)}

    answer = stranger.post("new-account", {"externalAccountBinding": binding})

    assert (403, "unauthorized") == (answer.status_code, problem(answer))


@pytest.mark.parametrize(
    "wish",
    [
        {"replaces": "\ud800.\ud800"},
        {"replaces": "\0.AAAA"},
        {"replaces": "AAAA.AAAA.AAAA"},
        {"replaces": "0" * 64},
        {"profile": "\0"},
        {"profile": "\ud800"},
        {"notAfter": "\0"},
        {"notAfter": "0001-01-01T00:00:00+23:00"},
        {"auto-renewal": {"end-date": "9999-12-31T23:59:59Z", "lifetime": 10**400}},
        {"identifiers": [{"type": "dns", "value": "\ud800.example.com"}]},
        {"identifiers": [{"type": "\0", "value": "a"}]},
        {"identifiers": [{"type": "permanent-identifier", "value": "\0"}]},
        {"identifiers": dns_names(*["a.example.com"] * 101)},
    ],
)
def test_texts_that_no_database_takes_are_refused(desk, wish):
    """A 400 with a word of ACME, never a fault."""
    answer = desk.post("new-order", {"identifiers": dns_names("a.example.com")} | wish)

    assert answer.status_code in {400, 403}
    assert problem(answer) in {"malformed", "invalidProfile", "unsupportedIdentifier"}


@pytest.mark.parametrize("contact", ["mailto:a@\ud800.example", "mailto:\0@example.com"])
def test_contacts_that_no_database_takes_are_refused(desk, contact):
    """The same for accounts."""
    assert "invalidContact" == problem(desk.post(desk.kid, {"contact": [contact]}))


def test_long_orders_with_long_names_are_looked_up_in_few_questions(server, web):
    """RFC 9444: each of a hundred names has a hundred domains above it."""
    desk = Desk.make(server, web, **{"pre-approved": ["*"], "subdomains": True})
    desk.register()
    long = ".".join(["a"] * 100)
    names = [f"n{number}.{long[: 2 * number + 1]}.example.com" for number in range(99)]

    answer = desk.order(*names)
    again = desk.order(*names)

    assert (201, "ready") == (answer.status_code, answer.json["status"])
    assert answer.json["authorizations"] == again.json["authorizations"]
