"""EST's further operations on a whole server: its templates, its keys, its database."""

import base64
import email
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import CertificateQuery
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.authority.templates.starters import starter
from pikaserver.testing.client import ServiceClient
from pikaserver_est.plugin import register_services

BASE = "/.well-known/est"

USAGE = '["digitalSignature", "keyEncipherment"]'
"""The second is for RSA keys, which decrypt; no other kind takes it alone."""


@pytest.fixture
def est(server):
    return ServiceClient(*register_services(server.for_plugins))


@pytest.fixture
def template(server):
    """Change the template ``device``, and put it back."""

    def change(old, new, usage=USAGE):
        document = starter("device")
        assert old in document
        assert USAGE in document
        document = document.replace(old, new).replace(USAGE, usage)
        server.templates.save("device", document, "test")

    yield change
    server.templates.save("device", starter("device"), "test")


def request_of(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(Encoding.DER)


def user(server, uses=1):
    code = server.codes.create("device", "test", uses=uses, lifetime=timedelta(days=1))
    return code.user, code.code


def post(est, operation, octets, content="application/pkcs10", **who):
    body = base64.b64encode(octets)
    return est.send("POST", f"{BASE}/{operation}", body, headers={"Content-Type": content}, **who)


def test_the_server_makes_a_key_of_each_kind_that_a_template_takes(server, est, template):
    """ML-DSA among them; a device has one more certificate and the server no key."""
    kinds = starter("device").partition("types = [")[2].partition("]")[0]
    for number, kind in enumerate(('"ml-dsa-65"', '"rsa-2048"', '"ed25519"')):
        assert kind in kinds
        template("types = [" + kinds + "]", f"types = [{kind}]", usage='["digitalSignature"]')
        document = server.templates.document("device").replace(
            "server-keys = false", "server-keys = true"
        )
        server.templates.save("device", document, "test")

        answer = post(est, "serverkeygen", request_of(f"keyless-{number}"), user=user(server))

        assert 200 == answer.status_code, answer.text
        head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
        first, second = email.message_from_bytes(head + answer.content).get_payload()
        made = load_der_private_key(base64.b64decode(first.get_payload()), None)
        (certificate,) = read_certificates_only(base64.b64decode(second.get_payload()))
        assert made.public_key() == x509.load_der_x509_certificate(certificate).public_key()
        assert server.devices.named(f"keyless-{number}")


def test_a_full_answer_is_signed_by_a_service_of_the_authority(server, est):
    """A certificate of the template ``cmc``, made when it is first needed."""
    answer = post(est, "fullcmc", der.sequence(), "application/pkcs7-mime")

    signed = read_signed_data(base64.b64decode(answer.content))
    signed.verify(signed.signer())
    record = server.certificates.by_certificate(signed.signer())
    assert (400, cmc.PKI_RESPONSE) == (answer.status_code, signed.content_type)
    assert ("cmc", "server:cmc", "issuing") == (record.template, record.requester, record.authority)


def test_a_device_is_seen_when_it_asks_when_to_renew(server, est, clock):
    """And a revoked certificate is not let in."""
    answer = post(est, "simpleenroll", request_of("asking"), user=user(server))
    (certificate,) = read_certificates_only(base64.b64decode(answer.content))
    clock.advance(timedelta(hours=1))

    window = est.send("GET", f"{BASE}/renewal", certificate=certificate)

    assert 200 == window.status_code
    assert clock() == server.devices.named("asking").last_contact
    revoked = post(est, "simplerevoke", b"", certificate=certificate)
    assert 200 == revoked.status_code
    assert 401 == est.send("GET", f"{BASE}/renewal", certificate=certificate).status_code


def test_an_approved_server_key_comes_with_its_certificate(server, est, template):
    """The request that waits is the one that the kept key signed."""
    template("server-keys = false ", "server-keys = true  ")
    document = server.templates.document("device").replace("approval = false", "approval = true")
    server.templates.save("device", document, "test")
    who, csr = user(server, uses=2), request_of("patient")
    first = post(est, "serverkeygen", csr, user=who)
    device = server.devices.named("patient")
    with server.database.reading() as connection:
        row = connection.exec_driver_sql("SELECT max(id) FROM request").scalar()

    server.requests.decide(row, "test", approve=True)
    server.enrollment.issue_approved(row)
    second = post(est, "serverkeygen", csr, user=who)

    assert (202, 200) == (first.status_code, second.status_code), second.text
    assert b"application/pkcs8" in second.content
    assert 1 == len(server.certificates.find(CertificateQuery(device=device.id)))
