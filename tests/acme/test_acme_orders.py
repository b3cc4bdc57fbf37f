"""Orders: proved, finalized, expired; races; and what others may not do with them."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateQuery
from pikaserver_acme.resources import accounts
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import b64, csr_of, problem
from tests.acme.issued import NAME


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
