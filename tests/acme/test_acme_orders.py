"""Orders: what is asked, proved, finalized; races; and what others may not do with them."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateQuery
from pikaserver_acme.policies.rules import read_rules
from pikaserver_acme.resources import accounts
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import b64, csr_of, dns_names, problem

NAME = "www.example.com"


def issued(server, name):
    return server.certificates.find(CertificateQuery(name=name))


def test_a_certificate_comes_with_its_chain(desk):
    """RFC 8555 section 7.4.2: the certificate first, then what is above, without the root."""
    order = desk.order(NAME, "*.example.com")
    done = desk.finalize(order, csr_of(NAME, "*.example.com"))
    answer = desk.post(done.json["certificate"])

    chain = x509.load_pem_x509_certificates(answer.content)
    assert ("ready", "valid") == (order.json["status"], done.json["status"])
    assert "application/pem-certificate-chain" == answer.headers["content-type"]
    assert 2 == len(chain)
    chain[0].verify_directly_issued_by(chain[1])
    san = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {NAME, "*.example.com"} == set(san.get_values_for_type(x509.DNSName))


@pytest.mark.parametrize(
    "csr",
    [
        csr_of(NAME, "more.example.com"),
        csr_of("other.example.com"),
        csr_of(NAME, ips=[ipaddress.ip_address("192.0.2.1")]),
        csr_of(NAME, common_name="other.example.com"),
        csr_of(NAME, common_name="A name for people"),
        csr_of(),
        b"no CSR",
    ],
    ids=["more", "other", "address", "common name", "people", "none", "unreadable"],
)
def test_a_csr_for_anything_else_is_refused(desk, server, csr):
    """More names, fewer, others; the order stays ready for a CSR that fits."""
    name = f"{id(csr)}.example.com"
    wish = desk.order(NAME, name)

    answer = desk.finalize(wish, csr)

    assert "badCSR" == problem(answer)
    assert [] == issued(server, name)
    assert "valid" == desk.finalize(wish, csr_of(NAME, name)).json["status"]


def test_a_common_name_may_repeat_a_name(desk):
    """Old clients send it alone, and mean the same."""
    order = desk.order(NAME)

    assert "valid" == desk.finalize(order, csr_of(common_name=NAME.upper())).json["status"]


def test_the_account_key_is_no_certificate_key(desk):
    """RFC 8555 section 11.1."""
    key = ec.derive_private_key(
        desk.key.private_key.private_numbers().private_value, ec.SECP256R1()
    )

    assert "badCSR" == problem(desk.finalize(desk.order(NAME), csr_of(NAME, key=key)))


def test_finalizing_twice_gives_one_certificate(desk, server):
    """RFC 8555 section 7.4: an order that is not ready cannot be finalized."""
    name = "once.example.com"
    order = desk.order(name)
    desk.finalize(order, csr_of(name))

    answer = desk.finalize(order, csr_of(name))

    assert "orderNotReady" == problem(answer)
    assert 1 == len(issued(server, name))


def test_a_race_gives_one_certificate(desk, server):
    """Many at once, with different keys: one gets through, the others hear why not."""
    name = "race.example.com"
    order = desk.order(name)
    envelopes = []
    for _ in range(8):
        header = desk.header(order.json["finalize"])
        envelopes.append(desk.sign(header, {"csr": b64(csr_of(name))}))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: desk.send(order.json["finalize"], one), envelopes))

    statuses = sorted(answer.status_code for answer in answers)
    assert [200] + [403] * 7 == statuses
    assert {"orderNotReady"} == {problem(one) for one in answers if one.status_code != 200}
    assert 1 == len(issued(server, name))


def test_an_order_waits_for_every_proof(prover):
    """pending, then ready with the last one; each begins once."""
    order = prover.order("a.example.com", "b.example.com")
    assert "pending" == order.json["status"]
    assert "orderNotReady" == problem(prover.finalize(order, csr_of("a.example.com")))

    prover.settle(prover.challenge(order, index=0))
    halfway = prover.post(order.headers["location"]).json["status"]
    prover.settle(prover.challenge(order, index=1))

    assert "pending" == halfway
    done = prover.finalize(order, csr_of("a.example.com", "b.example.com"))
    assert "valid" == done.json["status"]


def test_a_proof_that_fails_ends_the_order(prover):
    """The problem says which name and why; the challenge shows what was tried."""
    order = prover.order(NAME)
    challenge = prover.challenge(order)
    prover.settle(challenge, Verdict("dns", "no TXT record there", ("asked 192.0.2.53",)))

    ended = prover.post(order.headers["location"]).json
    shown = prover.post(challenge["url"]).json

    assert "invalid" == ended["status"]
    assert [{"type": "dns", "value": NAME}] == [
        one["identifier"] for one in ended["error"]["subproblems"]
    ]
    assert ("invalid", "no TXT record there") == (shown["status"], shown["error"]["detail"])
    assert ["asked 192.0.2.53"] == [one["line"] for one in shown["attempts"]]


def test_a_challenge_begins_once(prover):
    """A client that asks twice does not make two validations."""
    begun = prover.office.validators.begun
    challenge = prover.challenge(prover.order(NAME))
    before = len(begun)

    first, second = prover.post(challenge["url"], {}), prover.post(challenge["url"], {})

    assert ["processing", "processing"] == [first.json["status"], second.json["status"]]
    assert 1 == len(begun) - before
    assert "2" == first.headers["retry-after"]


def test_a_proof_is_reused_by_its_account_only(prover):
    """The next order is ready at once; another account's is not."""
    prover.settle(prover.challenge(prover.order(NAME)))
    thief = prover.another()
    thief.register()

    assert "ready" == prover.order(NAME).json["status"]
    assert "pending" == thief.order(NAME).json["status"]
    assert "pending" == prover.order(f"*.{NAME}").json["status"]


def test_a_proof_that_was_given_up_counts_no_more(prover):
    """RFC 8555 section 7.5.2: also for an order that was ready."""
    order = prover.order(NAME)
    prover.settle(prover.challenge(order))
    given_up = prover.post(order.json["authorizations"][0], {"status": "deactivated"})

    assert "deactivated" == given_up.json["status"]
    assert "orderNotReady" == problem(prover.finalize(order, csr_of(NAME)))
    assert "pending" == prover.order(NAME).json["status"]


def test_a_proof_expires(prover, server):
    """After the policy's time a name is to be proved anew."""
    prover.settle(prover.challenge(prover.order(NAME)))
    server.clock.advance(timedelta(days=31))

    assert "pending" == prover.order(NAME).json["status"]


def test_an_order_expires(desk, server):
    """It is invalid then, and cannot be finalized."""
    order = desk.order(NAME)
    server.clock.advance(timedelta(days=8))

    assert "invalid" == desk.post(order.headers["location"]).json["status"]
    assert "orderNotReady" == problem(desk.finalize(order, csr_of(NAME)))


def test_what_the_policy_does_not_allow_is_refused_with_subproblems(make):
    """One for each name that is not allowed (RFC 8555 section 6.7.1)."""
    client = make(allow=["*.example.com"], deny=["secret.example.com"], **{"pre-approved": ["*"]})
    client.register()

    answer = client.order("ok.example.com", "secret.example.com", "www.example.org")

    assert "rejectedIdentifier" == problem(answer)
    assert {"secret.example.com", "www.example.org"} == {
        one["identifier"]["value"] for one in answer.json["subproblems"]
    }
    assert "rejectedIdentifier" == problem(client.order("*.example.com"))


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ({"type": "dns", "value": "192.0.2.1"}, "malformed"),
        ({"type": "dns", "value": "127.1"}, "malformed"),
        ({"type": "dns", "value": "a..example"}, "malformed"),
        ({"type": "dns", "value": "a.*.example.com"}, "malformed"),
        ({"type": "dns", "value": "münchen.example"}, "malformed"),
        ({"type": "dns", "value": "a b.example"}, "malformed"),
        ({"type": "ip", "value": "0x7f.1"}, "malformed"),
        ({"type": "ip", "value": "fe80::1%eth0"}, "malformed"),
        ({"type": "ip", "value": "10.0.0.0/8"}, "malformed"),
        ({"type": "email", "value": "me@example.com"}, "unsupportedIdentifier"),
        ({"type": "dns"}, "malformed"),
        ("www.example.com", "malformed"),
    ],
)
def test_identifiers_have_one_spelling(desk, identifier, kind):
    """And what is none is told so."""
    assert kind == problem(desk.post("new-order", {"identifiers": [identifier]}))


def test_a_name_and_an_address_in_one_certificate(desk):
    """RFC 8738; the address in its usual spelling."""
    wish = [*dns_names(NAME), {"type": "ip", "value": "2001:DB8::0001"}]
    order = desk.post("new-order", {"identifiers": wish})

    done = desk.finalize(order, csr_of(NAME, ips=[ipaddress.ip_address("2001:db8::1")]))

    assert {"type": "ip", "value": "2001:db8::1"} in order.json["identifiers"]
    assert "valid" == done.json["status"]


def test_a_policy_that_approves_no_more_is_held_at_the_end(desk):
    """What was approved without a proof counts only while the policy still says so."""
    order = desk.order(NAME)
    desk.office.policies.put(desk.policy, read_rules({"template": "web"}), "test")

    assert "unauthorized" == problem(desk.finalize(order, csr_of(NAME)))


def test_caa_is_asked_where_nothing_was_proved(make):
    """RFC 8659: pre-approved or not, somebody else may be the only one to issue."""
    client = make(**{"pre-approved": ["*"], "caa-identities": ["pki.example"]})
    client.register()
    order = client.order(NAME)
    client.office.validators.caa = Verdict("caa", "only ca.example may issue")
    try:
        answer = client.finalize(order, csr_of(NAME))
    finally:
        client.office.validators.caa = Verdict()

    assert "caa" == problem(answer)
    assert NAME == client.office.validators.asked_caa[-1].name
    assert "valid" == client.finalize(order, csr_of(NAME)).json["status"]


def test_rate_limits_say_when_to_come_back(make):
    """Per account, per address, per set of names; 429 with Retry-After."""
    limits = {"orders-per-account-per-hour": 2, "accounts-per-address-per-hour": 2}
    client = make(**{"pre-approved": ["*"], "limits": limits})
    client.register()
    client.order("a.example")
    client.order("b.example")

    answer = client.order("c.example")
    second, third = client.another(), client.another()

    assert (429, "rateLimited") == (answer.status_code, problem(answer))
    assert "360" == answer.headers["retry-after"]
    assert [201, 429] == [second.register().status_code, third.register().status_code]


def test_the_same_names_are_limited_over_all_accounts(make):
    """Whoever asks; a replacement is exempt."""
    limits = {"certificates-per-names-per-day": 1}
    client = make(**{"pre-approved": ["*"], "limits": limits})
    client.register()
    client.certificate("set.example")
    other = client.another()
    other.register()

    assert "rateLimited" == problem(other.order("set.example"))


def test_orders_are_listed_in_pages(desk):
    """Newest first, with a link to the rest."""
    made = [desk.order(f"{n}.example").headers["location"] for n in range(3)]
    page, accounts.PAGE = accounts.PAGE, 2
    try:
        first = desk.post(f"{desk.kid}/orders")
        rest = first.headers["link"].split('>;rel="next"')[0].rpartition("<")[2]
        second = desk.post(rest)
    finally:
        accounts.PAGE = page

    assert made[::-1] == first.json["orders"] + second.json["orders"]


def test_a_template_that_refuses_is_quoted(make):
    """The decision trace's last word reaches the client, in ACME's type."""
    client = make(**{"pre-approved": ["*"]})
    client.register()
    key = ec.generate_private_key(ec.SECP521R1())

    answer = client.finalize(client.order(NAME), csr_of(NAME, key=key))

    assert "badPublicKey" == problem(answer)
    assert "ec-p521" in answer.json["detail"]
