"""Pairs of the server in memory: what tests of doors rely on."""

from dataclasses import replace

import pytest
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Pending, Requester
from pikaserver.api.templates import RelatedRules
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.related_certificates import related_hash
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request


@pytest.fixture
def server():
    made = FakeServer()
    made.templates.add(make_template("second"))
    made.templates.add(replace(make_template(), related=RelatedRules(pair="second")))
    return made


def csr_of(server, name="plc-21"):
    return read_csr(throw_away_request(throw_away_key(server.entropy), name))


def asked(csr, template="device"):
    return EnrollmentRequest(csr, Requester("code:4711", "code"), template, "est")


def test_both_are_issued_bound_and_found(server):
    """The same requests get the same pair."""
    request, second = asked(csr_of(server)), csr_of(server)

    pair, again = (server.pairs.enroll(request, second) for _ in range(2))

    bound = related_hash(x509.load_der_x509_certificate(pair.second.certificate))
    assert bound.fits(pair.first.certificate)
    assert pair == again
    assert [pair.second.record] == server.pairs.of(pair.first.record)
    assert "second" == pair.second.record.template


def test_what_a_door_has_to_expect(server):
    """No pair, another holder, the same key, a person who decides."""
    csr = csr_of(server)
    for request, second, why in (
        (asked(csr, "second"), csr_of(server), "issues no pairs"),
        (asked(csr), csr_of(server, "plc-22"), "same subject"),
        (asked(csr), csr, "same key"),
    ):
        with pytest.raises(RequestRejected, match=why):
            server.pairs.enroll(request, second)
    server.templates.add(replace(make_template(approval=True), related=RelatedRules(pair="second")))
    second = csr_of(server)

    waiting = server.pairs.enroll(asked(csr), second)

    assert isinstance(waiting, Pending)
    assert second.der == server.requests.get(waiting.request_id).second_csr
    server.approve(waiting.request_id)
    assert "second" == server.pairs.enroll(asked(csr), second).second.record.template
