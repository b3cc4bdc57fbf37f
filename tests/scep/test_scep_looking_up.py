"""What clients ask before they enrol and after: capabilities, certificates, CRLs."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import CertificateQuery
from pikaserver.api.devices import DeviceQuery
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import subject_of
from pikaserver.asn1.elements import children
from pikaserver.testing.servers import make_server
from pikaserver_scep.queries import read_body, read_query
from tests.scep.conftest import ENABLED
from tests.scep.device import (
    BAD_CERT_ID,
    BAD_MESSAGE_CHECK,
    BAD_REQUEST,
    FAILURE,
    GET_CERT,
    GET_CRL,
    PKCS_REQ,
    SUCCESS,
    Device,
    House,
)


def serial_of(certificate):
    return x509.load_der_x509_certificate(certificate).serial_number


def asked(house, device, kind, content):
    envelope = device.seal(content, house.recipient)
    return house.ask(device, device.message(kind, envelope))


def crl_in(device, reply):
    """Return the CRL of a certs-only message."""
    octets = device.opened(reply)
    outer = list(children(octets))[1]
    data = next(children(octets, outer.at))
    crls = next(one for one in children(octets, data.at) if one.tag == 0xA1)
    return x509.load_der_x509_crl(octets[crls.start : crls.end])


def test_the_capabilities_are_told(house):
    """One in a line; strongSwan 5.9.8 looks for SHA-384 where it means another one."""
    answer = house.client.get("/scep/device?operation=GetCACaps")

    assert {
        "AES", "POSTPKIOperation", "Renewal", "SHA-256", "SHA-384", "SHA-512", "SCEPStandard",
        "GetNextCACert",
    } == set(answer.text.split("\n")) - {""}  # fmt: skip
    assert answer.headers["content-type"].startswith("text/plain")


def test_weak_algorithms_are_told_where_they_are_accepted(house):
    """A device that looks for them finds them."""
    house.set('scep.compatibility=["3des", "sha1"]')
    try:
        answer = house.client.get("/scep?operation=getcacaps")
    finally:
        house.set("scep.compatibility=[]")

    assert {"DES3", "SHA-1"} <= set(answer.text.split())


@pytest.mark.parametrize("authority", ["rsa-2048", "ec-p256"])
def test_the_chain_is_told_with_and_without_its_root(houses, authority):
    """Some devices store what they get as trusted, others want it all."""
    house = houses(authority)
    with_root = house.ca_certificates()
    house.set("scep.include-root=false")
    try:
        without = house.ca_certificates()
        answer = house.client.get("/scep/device?operation=GetCACert")
    finally:
        house.set("scep.include-root=true")

    names = [x509.load_der_x509_certificate(one).subject.rfc4514_string() for one in with_root]
    assert "CN=Pikaserver Root CA,O=Pikaserver" == names[-1]
    assert with_root[:-1] == without
    single = len(without) == 1
    kind = "application/x-x509-ca-cert" if single else "application/x-x509-ca-ra-cert"
    assert kind == answer.headers["content-type"]


def test_a_certificate_is_told_to_whoever_has_one(house):
    """GetCert, for those that the authority issued; not found is badCertId."""
    device = house.enrolled(Device("plc-71", number=1), transaction="looking")
    other = house.enrolled(Device("plc-72", number=2), transaction="looked at")
    wanted = house.issuer_and_serial(serial_of(other.certificate))

    reply = asked(house, device, GET_CERT, wanted)

    assert other.certificate == device.certificate_in(reply)
    nobody = asked(house, device, GET_CERT, house.issuer_and_serial(4711))
    assert (FAILURE, BAD_CERT_ID) == nobody.outcome
    stranger = asked(house, Device("plc-73"), GET_CERT, wanted)
    assert (FAILURE, BAD_REQUEST) == stranger.outcome


def test_a_crl_is_told(house, device):
    """To anybody, for it is public; EC clients get theirs by agreement of keys."""
    wanted = house.issuer_and_serial(4711)
    house.server.crls.issue("issuing")

    crl = crl_in(device, asked(house, device, GET_CRL, wanted))

    assert (
        crl.signature == x509.load_der_x509_crl(house.server.crls.latest("issuing").crl).signature
    )
    by_agreement = asked(house, Device("plc-ec", "ec"), GET_CRL, wanted)
    assert SUCCESS == by_agreement.status
    assert b"\xa1" in by_agreement.envelope[:40]  # [1]: KeyAgreeRecipientInfo


def test_only_certificates_of_this_authority_are_told(house, device):
    """Another issuer is as unreadable as octets of another message."""
    device = house.enrolled(device, transaction="of this")
    foreign = der.sequence(
        subject_of(x509.load_der_x509_certificate(device.certificate)), der.integer(1)
    )

    for kind in (GET_CERT, GET_CRL):
        for content in (foreign, der.sequence(), house.issuer_and_serial(1 << 200)):
            assert (FAILURE, BAD_MESSAGE_CHECK) == asked(house, device, kind, content).outcome


def test_a_registration_authority_can_have_two_keys(tmp_path):
    """One signs, the other one decrypts, and each certificate says so."""
    environment = ENABLED | {
        "PIKASERVER__PLUGINS__SCEP__AUTHORITIES__ISSUING__SEPARATE_KEYS": "true"
    }
    with make_server(tmp_path / "data", environment=environment) as server:
        house, device = House(server), Device()
        signing, encryption = house.ca_certificates()[:2]
        envelope = device.seal(device.csr(house.challenge()), encryption)
        reply = house.ask(device, device.message(PKCS_REQ, envelope))
        wrong = device.seal(device.csr(house.challenge()), signing)
        refused = house.ask(device, device.message(PKCS_REQ, wrong, transaction="2"))

    usages = [
        x509.load_der_x509_certificate(one).extensions.get_extension_for_class(x509.KeyUsage).value
        for one in (signing, encryption)
    ]
    assert [(True, False), (False, True)] == [
        (one.digital_signature, one.key_encipherment) for one in usages
    ]
    assert SUCCESS == reply.status
    assert signing == reply.signer
    assert (FAILURE, BAD_MESSAGE_CHECK) == refused.outcome


def test_an_rsa_authority_can_leave_it_to_another_key(tmp_path):
    """For those who want the authority's key to do nothing but sign certificates."""
    environment = ENABLED | {"PIKASERVER__PLUGINS__SCEP__AUTHORITIES__ISSUING__SIGNER": "ra"}
    with make_server(tmp_path / "data", key_type="rsa-2048", environment=environment) as server:
        house, device = House(server), Device()

        assert "Pikaserver Issuing CA SCEP" in str(
            x509.load_der_x509_certificate(house.recipient).subject
        )
        assert SUCCESS == house.enrol(device).status


@given(st.binary(min_size=1, max_size=200))
def test_messages_in_queries_are_read_however_they_were_written(octets):
    """Spaces for plus signs, encoded twice, the other alphabet, lines, no padding."""
    text = base64.b64encode(octets).decode()
    for written in (
        text,
        text.replace("+", " "),
        text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        text.rstrip("="),
        base64.urlsafe_b64encode(octets).decode(),
        base64.encodebytes(octets).decode(),
    ):
        assert octets == read_query(written)


@given(st.text(max_size=100))
def test_other_queries_are_malformed(text):
    """And nothing else."""
    try:
        read_query(text)
    except MalformedRequest:
        return


def test_a_body_may_be_base64_too():
    """Some clients post what they would have put into a query."""
    octets = der.sequence(der.octet_string(bytes(range(256))))

    assert [octets, octets] == [read_body(octets), read_body(base64.b64encode(octets))]
    with pytest.raises(MalformedRequest):
        read_body(b"")


def test_a_device_hears_when_to_renew(house, device):
    """By the certificate's fingerprint; an order of the operator pulls it forward."""
    house.enrolled(device)
    record = house.server.certificates.find(CertificateQuery(subject="CN=plc-21"))[0]
    path = f"/scep/device?operation=GetRenewalInfo&message={record.fingerprint}"

    ordinary = house.client.get(path)
    house.server.renewals.order(record, timedelta(hours=1), "a weak generator", "test")
    early = house.client.get(path)
    nobody = house.client.get(path[:-64] + "0" * 64)

    assert {"suggestedWindow"} == ordinary.json.keys()
    assert "a weak generator" == early.json["reason"]
    assert int(early.headers["retry-after"]) < int(ordinary.headers["retry-after"])
    assert 404 == nobody.status_code
    assert "scep" in house.server.devices.find(DeviceQuery(text=record.subject[3:]))[0].doors
