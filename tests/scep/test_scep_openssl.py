"""Requests built by openssl for each operation, and answers verified and opened by it."""

import pytest
from cryptography import x509

from tests.scep.device import CERT_POLL, GET_CERT, GET_CRL, PKCS_REQ, RENEWAL_REQ
from tests.scep.openssl_device import OpensslDevice


@pytest.fixture
def device(openssl, tmp_path):
    return OpensslDevice(openssl, tmp_path)


def asked(house, device, kind, content, *words, get=False):
    """Return what is in the envelope of the answer."""
    chain = house.ca_certificates()
    message = device.message(kind, device.seal(content, chain[0], *words))
    reply = (house.get if get else house.post)(message)
    return device.verified(reply.content, chain)


def enrolled(house, device, password, *words, get=False):
    envelope = asked(house, device, PKCS_REQ, device.csr(password), *words, get=get)
    inside = device.opened(envelope, password if device.kind == "ec" else None)
    return device.certificate_in(inside)


@pytest.mark.parametrize("authority", ["rsa-2048", "ec-p256", "ml-dsa-44"])
@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
def test_openssl_enrols_and_renews(houses, device, authority, get):
    """Under each kind of authority, by each method of HTTP."""
    house = houses(authority)
    chain = house.ca_certificates()
    if authority == "ml-dsa-44":
        device.verified = lambda reply, _chain: by_itself(device, reply, chain[0])
    first = enrolled(house, device, house.challenge(), get=get)
    device.certificate = first

    renewed = device.opened(asked(house, device, RENEWAL_REQ, device.csr(), get=get))

    assert first != device.certificate_in(renewed)
    assert "CN=plc-ssl" == name_of(device.certificate_in(renewed))


def name_of(certificate):
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()


def by_itself(device, reply, signer):
    """Verify by the signer's certificate alone: openssl 3.0 knows no ML-DSA above it."""
    (device._folder / "signer.pem").write_bytes(pem(signer))  # noqa: SLF001 - of this test
    words = ["-noverify", "-certfile", "signer.pem", "-nointern"]
    return device.run("cms", "-verify", "-binary", "-inform", "DER", *words, octets=reply)


def pem(certificate):
    loaded = x509.load_der_x509_certificate(certificate)
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return loaded.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "words",
    [
        ("-aes256",),
        ("-aes128", "-keyopt", "rsa_padding_mode:oaep"),
        ("-aes256", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"),
        ("-aes128", "-stream", "-indef"),
        ("-aes128", "-keyid"),
    ],
)
def test_openssl_may_choose(house, device, words):
    """Ciphers, padding, BER, and how the recipient is named."""
    assert "CN=plc-ssl" == name_of(enrolled(house, device, house.challenge(), *words))


def test_openssl_opens_by_the_password(house, openssl, tmp_path):
    """For a key that cannot encrypt (RFC 8894 section 3.1)."""
    device = OpensslDevice(openssl, tmp_path, "ec")

    assert "CN=plc-ssl" == name_of(enrolled(house, device, house.challenge()))


def test_openssl_polls_and_looks_up(house, device):
    """CertPoll, GetCert and GetCRL."""
    certificate = enrolled(house, device, house.challenge())
    serial = x509.load_der_x509_certificate(certificate).serial_number
    wanted = house.issuer_and_serial(serial)
    house.server.crls.issue("issuing")

    polled = device.opened(asked(house, device, CERT_POLL, wanted))
    crl = device.opened(asked(house, device, GET_CRL, wanted))
    device.certificate = certificate
    found = device.opened(asked(house, device, GET_CERT, wanted))

    assert certificate == device.certificate_in(polled) == device.certificate_in(found)
    text = device.run("pkcs7", "-inform", "DER", "-print_certs", octets=crl)
    assert b"BEGIN X509 CRL" in text
