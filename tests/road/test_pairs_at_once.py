"""Pairs by one request (RFC 9763): both certificates, the second bound to the first, or none."""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import (
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    RequestRejected,
    Unavailable,
)
from pikaserver.api.issuance import Requester, Severity
from pikaserver.api.pairs import IssuedPair
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.related_certificates import related_attribute, related_hash
from pikaserver.testing.damage import altered
from pikaserver.testing.key_away import key_away
from tests.road.pair_ground import (
    asked,
    document,
    first_csr,
    prepare,
    second_csr,
    second_der,
    signings,
)


@pytest.fixture(scope="module", autouse=True)
def paired(server):
    prepare(server)


def refused(server, request, second, why, kind=RequestRejected):
    """Nothing is signed, neither the first nor the second."""
    before = signings(server)
    with pytest.raises(kind, match=why) as caught:
        server.pairs.enroll(request, second)
    assert before == signings(server)
    return caught.value


def code_for(server, **more):
    code = server.codes.create("paired", "test")
    proof = server.codes.find(code.user).proof
    return Requester(
        f"code:{code.user}", "code", templates=frozenset({"paired"}), proof=proof, **more
    )


def test_one_request_brings_both_and_the_second_names_the_first(server, monkeypatch):
    """By its hash; the trace tells of both, and nothing is fetched."""
    monkeypatch.setattr(socket, "getaddrinfo", None)

    pair = server.pairs.enroll(asked(first_csr()), second_csr())

    bound = related_hash(x509.load_der_x509_certificate(pair.second.certificate))
    assert bound.fits(pair.first.certificate)
    assert related_hash(x509.load_der_x509_certificate(pair.first.certificate)) is None
    assert ("paired", "quantum") == (pair.first.record.template, pair.second.record.template)
    assert pair.first.record.names == pair.second.record.names
    assert pair.first.chain == pair.second.chain
    assert {"related", "lint", "possession"} <= {one.rule for one in pair.second.trace}
    assert [pair.second.record.id] == [one.id for one in server.pairs.of(pair.first.record)]


def test_the_second_is_of_the_same_holder_with_another_key_that_it_has(server):
    """Another subject, another name, the first one's key, a broken signature: nothing is signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = first_csr(key=key)
    other = [x509.DNSName("bank.example.test")]
    octets = bytearray(second_der())
    broken = read_csr(altered(bytes(octets), len(octets) - 1))

    refused(server, asked(csr), second_csr("plc-22"), "the same subject and the same names")
    refused(server, asked(csr), second_csr(names=other), "the same subject and the same names")
    refused(server, asked(csr), second_csr(names=[]), "the same subject and the same names")
    refused(server, asked(csr), first_csr(key=key), "the same key")
    refused(server, asked(csr), broken, "not signed by the key", MalformedRequest)


def test_only_the_server_binds(server):
    """Whoever names a certificate in one of both requests, be it his own, gets nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    foreign = server.pairs.enroll(asked(first_csr("other")), second_csr("other")).first
    bound = related_attribute(
        foreign.certificate, server.clock(), lambda octets: key.sign(octets, ec.ECDSA(SHA256()))
    )

    refused(server, asked(first_csr(key=key)), second_csr(attributes=bound), "the server binds")


def test_a_second_that_rules_would_refuse_stops_the_first(server):
    """Key types and names are asked before anything is signed."""
    for before, after, why in (
        ("types = [", 'types = ["rsa-2048"] #', "ml-dsa-65"),
        ("[names.dns]\nallow = [", '[names.dns]\nallow = ["*.example.org"] #', "example.test"),
    ):
        text = document()
        assert before in text
        server.templates.save("quantum", text.replace(before, after, 1), "test")
        refused(server, asked(first_csr()), second_csr(), why)
    server.templates.save("quantum", document(), "test")


class Refusing:
    """A lint that takes no ML-DSA certificate."""

    citation, severity = "a rule of the test", Severity.ERROR

    def check(self, draft, issuer):
        bound = related_hash(draft)
        return None if bound is None else "bound certificates are refused today"


def test_a_second_that_a_lint_refuses_stops_the_first(server):
    """It is linted with an extension as long as the real one."""
    lints = server.enrollment.preparation.lints
    lints.append(Refusing())
    try:
        refused(server, asked(first_csr()), second_csr(), "refused today")
    finally:
        lints.pop()


def test_a_second_key_that_is_away_stops_the_first(server, monkeypatch):
    """No certificate is left alone because the other authority's key is not there."""
    opened = server.signers.open
    calls = []

    def away(reference, algorithm):
        calls.append(reference)
        if len(calls) == 2:
            raise KeyUnavailable("the token is away")
        return opened(reference, algorithm)

    monkeypatch.setattr(server.signers, "open", away)
    refused(server, asked(first_csr()), second_csr(), "away", KeyUnavailable)


def test_a_code_is_spent_once_for_both(server):
    """It is made for the first template, whose owner says which one the second is of."""
    requester = code_for(server)
    request = asked(first_csr(), requester=requester)

    pair = server.pairs.enroll(request, second_csr())

    assert isinstance(pair, IssuedPair)
    again = asked(first_csr(), requester=requester)
    refused(server, again, second_csr(), "code", NotAuthenticated)


def test_the_bounds_of_a_credential_hold_for_both(server):
    """The common name of a code; and it opens no second template that does not take codes."""
    requester = code_for(server, common_name="plc-21.example.test")
    refused(server, asked(first_csr(), requester=requester), second_csr(), "only")

    text = document().replace('proofs = ["code", ', "proofs = [")
    assert text != document()
    server.templates.save("quantum", text, "test")
    asking = asked(first_csr(), requester=code_for(server))
    refused(server, asking, second_csr(), "does not accept the proof", NotAllowed)
    server.templates.save("quantum", document(), "test")


def test_the_same_requests_get_the_same_pair(server):
    """Also without a transaction, also by a spent code; another requester gets another one."""
    csr, second = first_csr(), second_csr()
    request = asked(csr, requester=code_for(server))

    one, two = (server.pairs.enroll(request, second) for _ in range(2))
    other = server.pairs.enroll(asked(csr), second)

    assert one.first.record.id == two.first.record.id
    assert one.second.record.id == two.second.record.id
    assert other.first.record.id != one.first.record.id


def test_a_transaction_serves_one_wish_of_one_requester(server):
    """It does not lead to a second certificate for who knows its name."""
    csr, second = first_csr(), second_csr()
    request = asked(csr, transaction="order 77")
    pair = server.pairs.enroll(request, second)

    assert pair.second.record.id == server.pairs.enroll(request, second).second.record.id
    refused(server, request, second_csr(), "already served another request")
    stranger = replace(request, requester=Requester("cli:other", "operator"))
    refused(server, stranger, second, "already served another requester")
    alone = asked(first_csr(), transaction="order 78")
    server.enroll(alone)
    refused(server, alone, second, "already served another request")
    refused(server, replace(request, transaction="pair\t1"), second, "ASCII", MalformedRequest)


def test_what_was_revoked_is_asked_for_anew(server, clock):
    """The same requests begin a new pair when the first certificate has ended."""
    request, second = asked(first_csr()), second_csr()
    pair = server.pairs.enroll(request, second)
    server.revoke(pair.first.record, Revocation(clock(), RevocationReason.SUPERSEDED), "test")

    anew = server.pairs.enroll(request, second)

    assert anew.first.record.id != pair.first.record.id
    assert anew.second.record.id == server.pairs.enroll(request, second).second.record.id


def test_a_second_that_failed_follows_by_the_template_of_its_time(server):
    """Though the first template names another one by now; its code is spent already."""
    request, second = asked(first_csr(), requester=code_for(server)), second_csr()
    with key_away(at=2), pytest.raises(KeyUnavailable):
        server.pairs.enroll(request, second)
    server.templates.save("later", document(), "test")
    server.templates.save("paired", document('pair = "later"', mode="refused"), "test")

    pair = server.pairs.enroll(request, second)

    prepare(server)
    assert ("paired", "quantum") == (pair.first.record.template, pair.second.record.template)
    (old,) = server.pairs.of(pair.first.record)
    assert old.id == pair.second.record.id


def test_many_at_once_make_one_pair(server):
    """Who comes second hears that it is being signed, or gets the same."""
    request, second, gate = asked(first_csr()), second_csr(), Barrier(6)

    def ask():
        gate.wait()
        try:
            return server.pairs.enroll(request, second)
        except Unavailable:
            return None

    with ThreadPoolExecutor(6) as pool:
        found = [one.result() for one in [pool.submit(ask) for _ in range(6)]]

    last = server.pairs.enroll(request, second)
    pairs = {(one.first.record.id, one.second.record.id) for one in [*found, last] if one}
    assert {(last.first.record.id, last.second.record.id)} == pairs
    assert [last.second.record.id] == [one.id for one in server.pairs.of(last.first.record)]


def test_a_device_that_shows_its_first_certificate_renews_the_pair(server, clock):
    """The old one is revoked when both new ones are there; the second stands beside the first."""
    text = document('pair = "quantum"', mode="refused")
    server.templates.save("paired", text.replace("revoke-old = false", "revoke-old = true"), "test")
    old = server.pairs.enroll(asked(first_csr()), second_csr()).first.record
    clock.advance(old.not_after - clock() - timedelta(days=1))
    holder = Requester("certificate:plc-21", "certificate", certificate=old)
    request = asked(first_csr(), requester=holder)

    pair = server.pairs.enroll(request, second_csr())

    assert "revoked" == server.certificates.get(old.id).status
    assert "valid" == server.certificates.get(pair.first.record.id).status
    holder = replace(holder, certificate=pair.first.record)
    strange = asked(first_csr("plc-9"), requester=holder)
    refused(server, strange, second_csr("plc-9"), "subject must stay")
    server.templates.save("paired", text, "test")
