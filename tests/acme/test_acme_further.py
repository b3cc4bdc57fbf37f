"""Renewal information, profiles, chosen ends, domains above, and the directory itself."""

import json
from datetime import datetime, timedelta

import pytest

from pikaserver.authority.renewal_windows import write_identifier
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import csr_of, dns_names, problem
from tests.acme.issued import NAME, der_of, first_of, revoke


def test_renewal_information_is_for_everybody(desk, web):
    """RFC 9773: a window and Retry-After; and `replaces` is honoured once."""
    pem = desk.certificate(NAME)
    identifier = write_identifier(der_of(pem))
    answer = web.get(f"/acme/{desk.policy}/renewal-info/{identifier}")

    order = desk.order(NAME, replaces=identifier)
    done = desk.finalize(order, csr_of(NAME))
    again = desk.order(NAME, replaces=identifier)

    assert {"start", "end"} == answer.json["suggestedWindow"].keys()
    assert int(answer.headers["retry-after"]) > 0
    assert (identifier, "valid") == (order.json["replaces"], done.json["status"])
    assert (409, "alreadyReplaced") == (again.status_code, problem(again))


def test_a_replacement_must_fit(desk):
    """Of another account, for other names, or of nothing: refused."""
    identifier = write_identifier(der_of(desk.certificate(NAME)))
    other = desk.another()
    other.register()

    assert "unauthorized" == problem(other.order(NAME, replaces=identifier))
    assert "malformed" == problem(desk.order("other.example", replaces=identifier))
    assert "malformed" == problem(desk.order(NAME, replaces="AAAA.BBBB"))


def test_a_window_moves_when_a_certificate_must_go(desk, server, web):
    """A revoked one is to be renewed at once."""
    pem = desk.certificate(NAME)
    revoke(desk, pem)

    window = web.get(f"/acme/{desk.policy}/renewal-info/{write_identifier(der_of(pem))}").json

    assert datetime.fromisoformat(window["suggestedWindow"]["end"]) <= server.clock()


def test_a_profile_is_a_template(make):
    """A name that is not there is refused; one that is there is kept with the order."""
    profiles = {"client": {"template": "client", "description": "for people"}}
    client = make(**{"pre-approved": ["*"], "profiles": profiles})
    client.register()
    directory = client.web.get(f"/acme/{client.policy}/directory").json

    order = client.order(NAME, profile="client")

    assert {"client": "for people"} == directory["meta"]["profiles"]
    assert "client" == order.json["profile"]
    assert "invalidProfile" == problem(client.order(NAME, profile="server"))
    # That template has no names of hosts.
    assert "badCSR" == problem(client.finalize(order, csr_of(NAME)))


def test_the_end_may_be_asked_for(desk, server):
    """notAfter, as far as the template lets anybody choose."""
    end = server.clock() + timedelta(days=10)
    order = desk.order(NAME, notAfter=end.isoformat())
    done = desk.finalize(order, csr_of(NAME))
    pem = desk.post(done.json["certificate"]).text

    assert abs(first_of(pem).not_valid_after_utc - end) < timedelta(minutes=10)
    late = (server.clock() + timedelta(days=4000)).isoformat()
    refused = desk.finalize(desk.order(NAME, notAfter=late), csr_of(NAME))
    assert "badCSR" == problem(refused)
    for wish in ({"notAfter": "tomorrow"}, {"notBefore": late}, {"notAfter": "2001-01-01T00:00Z"}):
        assert "malformed" == problem(desk.order(NAME, **wish))


def test_a_domain_above_is_proved_once_for_all_below(make):
    """RFC 9444, by newAuthz and by ancestorDomain; where the policy says so."""
    client = make(subdomains=True, challenges=["dns-01", "http-01"])
    client.register()
    wish = {"type": "dns", "value": "example.org", "subdomainAuthAllowed": True}
    above = client.post("new-authz", {"identifier": wish})
    kinds = {one["type"] for one in above.json["challenges"]}
    client.settle(above.json["challenges"][0])

    below = client.order("a.b.example.org", "*.example.org")
    asked = client.post(
        "new-order",
        {"identifiers": [{**dns_names("x.example.net")[0], "ancestorDomain": "example.net"}]},
    )
    needed = client.post(asked.json["authorizations"][0]).json

    assert {"dns-01"} == kinds
    assert above.json["subdomainAuthAllowed"]
    assert "ready" == below.json["status"]
    assert (
        "valid" == client.finalize(below, csr_of("a.b.example.org", "*.example.org")).json["status"]
    )
    assert ("example.net", True) == (needed["identifier"]["value"], needed["subdomainAuthAllowed"])


def test_a_domain_above_must_be_above(make, prover):
    client = make(subdomains=True, challenges=["dns-01"])
    client.register()
    wrong = [{**dns_names("x.example.net")[0], "ancestorDomain": "example.org"}]

    assert "malformed" == problem(client.post("new-order", {"identifiers": wrong}))
    right = [{**dns_names("x.example.net")[0], "ancestorDomain": "example.net"}]
    assert "malformed" == problem(prover.post("new-order", {"identifiers": right}))


def test_an_authorization_beforehand(prover):
    """newAuthz: made once, found again once it is valid; never for a wildcard."""
    made = prover.post("new-authz", {"identifier": dns_names(NAME)[0]})
    prover.settle(made.json["challenges"][0])

    found = prover.post("new-authz", {"identifier": dns_names(NAME)[0]})

    assert (201, 200) == (made.status_code, found.status_code)
    assert made.headers["location"] == found.headers["location"]
    assert "ready" == prover.order(NAME).json["status"]
    wildcard = {"identifier": dns_names("*.example.com")[0]}
    assert "malformed" == problem(prover.post("new-authz", wildcard))


def test_the_directory_names_everything(desk, web):
    """And a closed one is not there."""
    found = web.get(f"/acme/{desk.policy}/directory").json
    nonce = desk.fresh()
    desk.office.policies.set_enabled(desk.policy, "test", enabled=False)

    assert f"https://acme.example.test/acme/{desk.policy}/new-order" == found["newOrder"]
    assert found["meta"]["externalAccountRequired"] is False
    assert 404 == web.get(f"/acme/{desk.policy}/directory").status_code
    assert 404 == web.get(f"/acme/{desk.policy}/new-nonce").status_code
    assert 404 == desk.post("new-order", {}, nonce=nonce).status_code
    assert 404 == web.get("/acme/nothing/directory").status_code
    json.dumps(found)


def test_directory_and_nonces_may_be_asked_for_by_an_account(desk, web):
    """POST-as-GET, which RFC 8555 section 6.3 wants beside GET; and nothing but that."""
    found = desk.post("directory")
    nonce = desk.post("new-nonce")
    brings = desk.post("directory", {"meta": {}})

    assert web.send("GET", f"/acme/{desk.policy}/directory").json == found.json
    assert (204, b"") == (nonce.status_code, nonce.content)
    assert nonce.headers["replay-nonce"]
    assert "malformed" == problem(brings)


@pytest.mark.parametrize(
    "path",
    [
        "new-account", "new-order", "new-authz", "revoke-cert", "key-change", "account/1",
        "account/1/orders", "order/1", "order/1/finalize", "authorization/1", "challenge/1",
        "certificate/1", "certificate/1/1",
    ],
)  # fmt: skip
def test_what_is_signed_for_is_not_to_be_had_by_get(desk, web, path):
    """405 and malformed (RFC 8555 section 6.3), and what to do instead."""
    refused = web.send("GET", f"/acme/{desk.policy}/{path}")

    assert (405, "POST") == (refused.status_code, refused.headers["allow"])
    assert "malformed" == problem(refused)
    assert "signed POST" in refused.json["detail"]


def test_validation_asks_and_is_answered(prover):
    """What validation is told of a challenge; nothing once it is settled."""
    challenge = prover.challenge(prover.order(f"*.{NAME}"))
    number = int(challenge["url"].rpartition("/")[2])
    before = prover.office.proving.ask(number)
    prover.post(challenge["url"], {})
    asked = prover.office.proving.ask(number)
    prover.office.proving.settle(number, Verdict())

    assert before is None
    assert (NAME, True, "dns-01") == (asked.identifier_value, asked.wildcard, asked.challenge_type)
    assert f"{challenge['token']}.{prover.key.thumbprint()}" == asked.key_authorization
    assert prover.kid == asked.account_url
    assert prover.office.proving.ask(number) is None
    assert not prover.office.proving.settle(number, Verdict("dns", "too late"))
