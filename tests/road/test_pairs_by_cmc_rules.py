"""Rules of the door that the second template of a pair has for itself, and what a token brings."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import Status
from pikaserver.asn1.related_certificates import related_attribute
from pikaserver.asn1.signed_data import attribute
from pikaserver.testing.client import ServiceClient
from pikaserver_est.plugin import register_services
from tests.est.cmc_client import CmcClient, control, pkcs10, pki_data, self_signed
from tests.road.pair_ground import asked, document, first_der, second_csr, second_der

CHALLENGE = "1.2.840.113549.1.9.7"
OURS = hashlib.sha256(b"this session").digest()
OTHER = hashlib.sha256(b"another session").digest()


@pytest.fixture(scope="module", autouse=True)
def templates(server):
    """Save seconds with a rule of their own, a second with none, and a first for each."""
    seconds = {
        "tied": ('possession-linking = "off"', 'possession-linking = "required"'),
        "simple": ("full-cmc = true", "full-cmc = false"),
        "plain": ("", ""),
    }
    for name, (old, new) in seconds.items():
        assert old in document()
        server.templates.save(name, document().replace(old, new), "test")
        pair = document(f'pair = "{name}"', mode="refused", approval=name == "plain")
        server.templates.save(f"with-{name}", pair, "test")


@pytest.fixture
def est(server):
    return ServiceClient(*register_services(server.for_plugins))


@pytest.fixture
def client(server, est, tmp_path):
    root = server.authorities.key("root").generation.certificate
    return CmcClient(est, tmp_path, [root], server.clock())


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def ask(client, server, key):
    """Ask by this second template, with one code for all messages of a test."""
    codes = {}

    def send(template, *parts, controls=()):
        if template not in codes:
            made = server.codes.create(f"with-{template}", "test")
            codes[template] = made.user, made.code
        content = pki_data(*parts, controls=controls)
        message = client.sign(content, key, self_signed(key), "-keyid", "-nocerts")
        url = f"/.well-known/est/with-{template}/fullcmc"
        return client.send(message, url, user=codes[template])

    return send


def issued(server, *templates):
    """Return what was issued by these templates."""
    queries = (CertificateQuery(template=name) for name in templates)
    return [one for query in queries for one in server.certificates.find(query)]


def tied_to(binding):
    """Return an attribute that ties a request to a session."""
    return attribute(CHALLENGE, der.element(0x0C, base64.b64encode(binding)))


def test_the_second_template_ties_its_request_to_the_session(ask, est, server, key):
    """Whatever the first one says: nothing is signed for a request of another session, or none."""
    est.bindings = {"tls-exporter": OURS}
    first = pkcs10(1, first_der(key=key))

    loose = ask("tied", first, pkcs10(2, second_der()))
    replayed = ask("tied", first, pkcs10(2, second_der(attributes=tied_to(OTHER))))
    none = issued(server, "with-tied", "tied")
    right = ask("tied", first, pkcs10(2, second_der(attributes=tied_to(OURS))))

    assert "'tied' wants the request tied" in loose.told[0].text
    assert "another TLS session" in replayed.told[0].text
    assert [(Status.FAILED, (1, 2))] * 2 == [
        (one.told[0].status, one.told[0].parts) for one in (loose, replayed)
    ]
    assert not none
    assert Status.SUCCESS == right.told[0].status
    assert 2 == len(issued(server, "with-tied", "tied"))


def test_a_second_template_without_cmc_is_not_issued_from_by_cmc(ask, server, key):
    """As a request for it alone would be refused."""
    answer = ask("simple", pkcs10(1, first_der(key=key)), pkcs10(2, second_der()))

    assert Status.FAILED == answer.told[0].status
    assert "'simple' takes no requests in CMC" in answer.told[0].text
    assert not issued(server, "with-simple", "simple")


def test_a_token_brings_the_pair_and_nothing_that_was_bound_later(ask, server, key):
    """The holder's first key may have bound another certificate to the first one meanwhile."""
    first = pkcs10(1, first_der(key=key))
    waiting = ask("plain", first, pkcs10(2, second_der()))
    token = waiting.told[0].token
    server.requests.decide(int(token), "officer", approve=True)
    both = server.issue_approved(int(token))
    bound = related_attribute(
        both[0].certificate, server.clock(), lambda text: key.sign(text, ec.ECDSA(SHA256()))
    )
    later = server.enroll(asked(second_csr(attributes=bound), "plain"))

    query = control(1, cmc.QUERY_PENDING, der.octet_string(token))
    # The key of the message's signer is known by a request in it.
    answer = ask("plain", pkcs10(7, first_der(key=key)), controls=(query,))

    assert later.record in server.pairs.of(both[0].record)
    assert Status.SUCCESS == answer.told[0].status
    assert {one.certificate for one in both} <= set(answer.certificates)
    assert later.certificate not in answer.certificates
