"""One order, two certificates (RFC 9763): finalize takes a second CSR, the download names both."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.asn1.related_certificates import related_attribute, related_hash
from pikaserver.authority.templates.starters import starter
from pikaserver.testing.damage import altered
from pikaserver.testing.key_away import key_away
from tests.acme.desk import b64, csr_of, problem
from tests.acme.test_acme_chains import links_of

NAME = "pair.example.com"


@pytest.fixture(scope="module", autouse=True)
def templates(server):
    """``pq`` is bound to ``classical``, ``patient`` waits for a person; ``web`` has no pairs."""
    save(server, "pq", 'mode = "allowed"')
    save(server, "classical", 'pair = "pq"')
    document = starter("web").replace("approval = false", "approval = true")
    server.templates.save("patient", f'{document}\n[related]\npair = "pq"\n', "test")


def save(server, name, related, document=None):
    server.templates.save(name, f"{document or starter('web')}\n[related]\n{related}\n", "test")


@pytest.fixture
def pairing(make):
    """Give a client of a policy whose orders may become pairs."""
    return client_of(make, "classical")


def client_of(make, template, **rules):
    found = make(template=template, **{"pre-approved": ["*"]}, **rules)
    found.register()
    return found


def second_of(*names, attributes=b""):
    """Return the CSR of a new ML-DSA key for these DNS names."""
    key = mldsa.MLDSA65PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    value = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    wish = [x509.Extension(value.oid, critical=False, value=value)]
    info = request_info(x509.Name([]), spki, wish, attributes)
    return assemble_csr(info, "ml-dsa-65", key.sign(info))


def finalize(client, order, first, second):
    wish = {"csr": b64(first), "relatedCsr": b64(second)}
    return client.post(order.json["finalize"], wish)


def downloaded(client, done):
    """Return both chains of an order that is a pair."""
    answer = client.post(done.json["certificate"])
    (link,) = links_of(answer)
    other = client.post(link)
    return [x509.load_pem_x509_certificates(one.content) for one in (answer, other)]


def octets(certificate):
    return certificate.public_bytes(Encoding.DER)


def test_an_order_with_two_csrs_becomes_a_pair(pairing):
    """The URL of the certificate delivers the first; the second is its alternate, with a chain."""
    done = finalize(pairing, pairing.order(NAME), csr_of(NAME), second_of(NAME))

    assert "valid" == done.json["status"]
    first, second = downloaded(pairing, done)
    assert isinstance(first[0].public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(second[0].public_key(), mldsa.MLDSA65PublicKey)
    assert related_hash(second[0]).fits(octets(first[0]))
    for chain in (first, second):
        chain[0].verify_directly_issued_by(chain[1])
    (link,) = links_of(pairing.post(done.json["certificate"]))
    assert [done.json["certificate"]] == links_of(pairing.post(link))


def test_directory_and_orders_say_whether_they_take_a_second_csr(make, pairing, desk):
    """Also where only one profile does; a client that knows nothing of it gets one certificate."""
    mixed = client_of(make, "web", profiles={"both": {"template": "classical"}})

    def said(client, **wish):
        directory = client.web.send("GET", f"/acme/{client.policy}/directory").json["meta"]
        order = client.order(NAME, **wish).json
        return directory.get("relatedCsrAllowed"), order.get("relatedCsrAllowed")

    assert [(True, True), (None, None), (True, None)] == [*map(said, (pairing, desk, mixed))]
    assert (True, True) == said(mixed, profile="both")
    alone = pairing.finalize(pairing.order(NAME), csr_of(NAME))
    assert [] == links_of(pairing.post(alone.json["certificate"]))


def refused(client, first, second, order=None):
    """Nothing is issued, and the order can be finalized with something else."""
    before = len(client.server.certificates.find(CertificateQuery(limit=1000)))
    order = order or client.order(NAME)
    answer = finalize(client, order, first, second)
    assert before == len(client.server.certificates.find(CertificateQuery(limit=1000)))
    assert "ready" == client.post(order.headers["location"]).json["status"]
    return problem(answer), answer.json["detail"]


def test_a_second_csr_that_does_not_fit_is_a_bad_csr(pairing, desk, make):
    """Other names, the same key, a broken signature, no CSR, a template without pairs."""
    key = ec.generate_private_key(ec.SECP256R1())
    first, second = csr_of(NAME, key=key), second_of(NAME)
    broken = altered(second, len(second) - 1)

    for given, why in (
        (second_of("other.example.com"), "relatedCsr: the order is for"),
        (second_of(NAME, "other.example.com"), "relatedCsr: the order is for"),
        (first, "the same key"),
        (broken, "not signed by the key"),
        (b"nonsense", "relatedCsr: the CSR cannot be read"),
    ):
        kind, detail = refused(pairing, first, given)
        assert "badCSR" == kind
        assert why in detail
    assert ("badCSR", True) == _told(refused(desk, first, second), "related.pair")
    own = client_of(make, "classical")
    answer = own.post(own.order(NAME).json["finalize"], {"csr": b64(first), "relatedCsr": 7})
    assert "malformed" == problem(answer)


def _told(refusal, why):
    kind, detail = refusal
    return kind, why in detail


def test_a_second_that_a_rule_refuses_leaves_the_order_ready(pairing, server):
    """Its key type, by the second template alone; with another CSR the order goes on."""
    rsa_only = starter("web").replace("types = [", 'types = ["rsa-2048"] #')
    save(server, "pq", 'mode = "allowed"', rsa_only)
    order = pairing.order(NAME)

    kind, detail = refused(pairing, csr_of(NAME), second_of(NAME), order)
    save(server, "pq", 'mode = "allowed"')
    done = finalize(pairing, order, csr_of(NAME), second_of(NAME))

    assert "badPublicKey" == kind
    assert "ml-dsa-65" in detail
    assert "valid" == done.json["status"]


def test_a_client_cannot_claim_a_binding(pairing, server):
    """RelatedCertRequest in a CSR of a pair is refused, for its own certificate, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    alone = pairing.finalize(pairing.order(NAME), csr_of(NAME, key=key))
    own = x509.load_pem_x509_certificate(pairing.post(alone.json["certificate"]).content)
    bound = related_attribute(
        octets(own), server.clock(), lambda text: key.sign(text, ec.ECDSA(SHA256()))
    )

    refusal = refused(pairing, csr_of(NAME, key=key), second_of(NAME, attributes=bound))

    assert ("badCSR", True) == _told(refusal, "the server binds")


def test_a_pair_that_waits_for_a_person_is_processing(make, server):
    """One yes, and the order goes on by itself with both."""
    client = client_of(make, "patient")
    order = client.order(NAME)
    held = finalize(client, order, csr_of(NAME), second_of(NAME))
    (waiting,) = server.requests.list()
    server.requests.decide(waiting.id, "officer", approve=True)
    server.clock.advance(timedelta(minutes=1))

    client.office.finalizing.resume_all()

    done = client.post(order.headers["location"])
    assert "processing" == held.json["status"]
    assert "valid" == done.json["status"]
    first, second = downloaded(client, done)
    assert related_hash(second[0]).fits(octets(first[0]))


def test_a_key_that_goes_away_between_both_holds_the_order_up(pairing, server):
    """The first is there, the second follows; nothing is issued twice."""
    name = "between.example.com"
    order = pairing.order(name)
    with key_away(at=2):
        held = finalize(pairing, order, csr_of(name), second_of(name))
    server.clock.advance(timedelta(minutes=1))
    pairing.office.finalizing.resume_all()

    done = pairing.post(order.headers["location"])
    assert "processing" == held.json["status"]
    assert "valid" == done.json["status"]
    first, second = downloaded(pairing, done)
    assert related_hash(second[0]).fits(octets(first[0]))
    assert 2 == len(server.certificates.find(CertificateQuery(name=name)))


def test_the_account_revokes_each_of_its_pair(pairing, server):
    """The second is of the order, too; it stays the order's alternate."""
    done = finalize(pairing, pairing.order(NAME), csr_of(NAME), second_of(NAME))
    _, second = downloaded(pairing, done)

    answer = pairing.post("revoke-cert", {"certificate": b64(octets(second[0]))})

    assert 200 == answer.status_code
    assert second == downloaded(pairing, done)[1]
    first = server.certificates.find(CertificateQuery(name=NAME))
    assert "revoked" in {one.status for one in first}


def test_a_certificate_that_follows_others_has_no_pair(make):
    """RFC 8739: one certificate at a time."""
    client = client_of(make, "classical", **{"auto-renewal": {"allowed": True}})
    soon = client.server.clock() + timedelta(days=30)
    wish = {"end-date": soon.strftime("%Y-%m-%dT%H:%M:%SZ"), "lifetime": 86_400}
    order = client.order(NAME, **{"auto-renewal": wish})

    refusal = refused(client, csr_of(NAME), second_of(NAME), order)

    assert ("badCSR", True) == _told(refusal, "auto-renewal")
    assert "relatedCsrAllowed" not in order.json
