"""An authority changes its key: what clients hear before, and what they may use after."""

import pytest
from cryptography import x509

from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.testing.servers import make_server
from tests.scep.conftest import ENABLED
from tests.scep.device import (
    BAD_MESSAGE_CHECK,
    FAILURE,
    PKCS_REQ,
    SUCCESS,
    Device,
    House,
)


def next_plan(key_type):
    algorithm, key = default_algorithm(key_type), KeyReference("software", "issuing-2")
    return AuthorityPlan("issuing", CaContent(x509.Name([])), key_type, key, algorithm)


@pytest.fixture
def rekeyed(tmp_path):
    """Give a server whose authority gets a new key, and the certificates from before."""
    with make_server(tmp_path / "data", key_type="rsa-2048", environment=ENABLED) as server:
        house = House(server)
        before = house.ca_certificates()
        assert 404 == house.client.get("/scep/device?operation=GetNextCACert").status_code
        server.succession.rekey("issuing", next_plan("rsa-2048"), "test")
        yield house, before


def test_the_next_certificate_is_signed_by_the_present_key(rekeyed):
    """For clients that still trust the key before; in the content and beside it."""
    house, before = rekeyed

    answer = house.client.get("/scep/device?operation=GetNextCACert")

    assert "application/x-x509-next-ca-cert" == answer.headers["content-type"]
    signed = read_signed_data(answer.content)
    signed.verify(before[0])
    assert house.ca_certificates() == read_certificates_only(signed.content)
    assert house.recipient in signed.certificates
    assert before[0] != house.recipient


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256"])
def test_a_prepared_certificate_is_told_before_it_takes_over(tmp_path, key_type):
    """RFC 8894 section 4.7: signed by the present authority, which goes on until then."""
    with make_server(tmp_path / "data", key_type=key_type, environment=ENABLED) as server:
        house, device = House(server), Device()
        before = house.ca_certificates()
        present = server.authorities.get("issuing").generations[0].certificate
        record = server.succession.rekey("issuing", next_plan(key_type), "test", prepare=True)

        early = next_told(house, present)
        reply = house.enrol(device)
        server.taking_over.now("issuing", "test")
        late = next_told(house, present)

        assert record.prepared.certificate == early[0]
        assert set(before) & set(early) == {before[-1]}  # the root alone
        issued = x509.load_der_x509_certificate(device.certificate_in(reply))
        issued.verify_directly_issued_by(x509.load_der_x509_certificate(present))
        assert before[0] == reply.signer
        assert late == house.ca_certificates()
        assert record.prepared.certificate in late


def next_told(house, present):
    """Return the certificates of GetNextCACert, which the present authority signed."""
    answer = house.client.get("/scep/device?operation=GetNextCACert")
    assert "application/x-x509-next-ca-cert" == answer.headers["content-type"]
    signed = read_signed_data(answer.content)
    signed.verify(present)
    return read_certificates_only(signed.content)


def test_who_encrypts_to_a_prepared_key_is_too_early(tmp_path):
    """It opens nothing before it takes over."""
    with make_server(tmp_path / "data", key_type="rsa-2048", environment=ENABLED) as server:
        house, device = House(server), Device()
        record = server.succession.rekey("issuing", next_plan("rsa-2048"), "test", prepare=True)
        envelope = device.seal(device.csr(house.challenge()), record.prepared.certificate)

        early = house.ask(device, device.message(PKCS_REQ, envelope))
        server.taking_over.now("issuing", "test")
        late = house.ask(device, device.message(PKCS_REQ, envelope, transaction="2"))

        assert (FAILURE, BAD_MESSAGE_CHECK) == early.outcome
        assert SUCCESS == late.status


def test_who_knows_an_earlier_key_is_still_served(rekeyed):
    """The answer comes by the key that the client knows, the certificate by the new one."""
    house, before = rekeyed
    device = Device()
    envelope = device.seal(device.csr(house.challenge()), before[0])

    reply = house.ask(device, device.message(PKCS_REQ, envelope))

    assert SUCCESS == reply.status
    assert before[0] == reply.signer
    issued = x509.load_der_x509_certificate(device.certificate_in(reply))
    issued.verify_directly_issued_by(x509.load_der_x509_certificate(house.recipient))
