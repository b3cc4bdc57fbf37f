"""EST certifies ML-KEM keys: challenged over two rounds of CMC, or made by the server."""

import base64
import hashlib
import hmac
from email.parser import BytesParser

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from pikaserver.api.templates import EstRules
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import FailInfo, Status
from pikaserver.asn1.cmc_possession import (
    DecryptedPop,
    read_encrypted_pop,
    write_decrypted_pop,
)
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.csr import read_csr, request_info
from pikaserver.asn1.kem_envelopes import open_for
from pikaserver.asn1.possession_statements import unsigned_request
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import (
    distinguished_name,
    throw_away_request,
)
from tests.est.cmc_client import CmcClient, control, pkcs10, pki_data

URL = "/.well-known/est/kem/fullcmc"
KEM = mlkem.MLKEM768PrivateKey.generate()
SPKI = KEM.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def client(est, server, tmp_path):
    server.templates.add(
        make_template(
            "kem",
            key_types=frozenset({"ml-kem-768"}),
            registrars=frozenset({"device"}),
            est=EstRules(server_keys=True),
        )
    )
    root = server.authorities.keys["root"][0].certificate
    return CmcClient(est, tmp_path, [root], server.clock())


@pytest.fixture
def record(server, key):
    return server.issue(read_csr(throw_away_request(key, "plc-21")))


@pytest.fixture
def csr():
    return unsigned_request(request_info(distinguished_name("plc-21"), SPKI, []))


def crmf():
    """Return CertReqMsg that waits to be challenged (RFC 4211 section 4.2)."""
    name = der.context(5, distinguished_name("plc-21").public_bytes())
    key = bytes((0xA6,)) + SPKI[1:]
    wished = der.sequence(der.integer(9), der.sequence(name, key))
    challenge = der.context(2, der.element(0x81, b"\x01"))
    return bytes((0xA1,)) + der.sequence(wished, challenge)[1:]


def first_round(client, key, record, request):
    answer = client.send(client.sign(pki_data(request), key, record.certificate), URL)
    (told,) = answer.told
    assert (Status.FAILED, FailInfo.POP_REQUIRED) == (told.status, told.fail_info)
    (value,) = answer.controls[cmc.ENCRYPTED_POP]
    tagged, envelope, witness = read_encrypted_pop(value)
    assert request == tagged
    secret = open_for(envelope, SPKI, KEM.decapsulate)
    assert hashlib.sha256(secret).digest() == witness
    return secret


def second_round(client, key, record, request, number, secret):
    proof = hmac.digest(secret, request, "sha256")
    told = write_decrypted_pop(DecryptedPop(number, proof))
    content = pki_data(request, controls=(control(3, cmc.DECRYPTED_POP, told),))
    return client.send(client.sign(content, key, record.certificate), URL)


@pytest.mark.parametrize("form", ["pkcs10", "crmf"])
def test_a_challenged_key_is_certified_in_the_second_round(client, server, key, record, csr, form):
    """RFC 5272 section 6.7: the secret is for whoever has the key."""
    request, number = (pkcs10(1, csr.der), 1) if form == "pkcs10" else (crmf(), 9)
    secret = first_round(client, key, record, request)
    assert not server.wishes

    answer = second_round(client, key, record, request, number, secret)

    assert 200 == answer.code, answer.told
    assert Status.SUCCESS == answer.told[0].status
    found = [x509.load_der_x509_certificate(one) for one in answer.certificates]
    assert any(isinstance(one.public_key(), mlkem.MLKEM768PublicKey) for one in found)


def test_a_guess_is_refused(client, key, record, csr):
    """And an answer that nobody asked for, or to nothing."""
    request = pkcs10(1, csr.der)
    early = second_round(client, key, record, request, 1, bytes(32))
    first_round(client, key, record, request)

    guessed = second_round(client, key, record, request, 1, bytes(32))
    astray = second_round(client, key, record, request, 2, bytes(32))

    for answer in (early, guessed, astray):
        assert 400 == answer.code
        assert Status.FAILED == answer.told[0].status
    assert "no challenge was given" in early.told[0].text
    assert "does not prove" in guessed.told[0].text


@pytest.mark.usefixtures("client")
def test_the_key_made_is_the_one_certified(est, key, record):
    """Seed form (RFC 9935 section 6), and its certificate."""
    wish = throw_away_request(key, "plc-21")

    answer = est.send(
        "POST",
        "/.well-known/est/kem/serverkeygen",
        base64.b64encode(wish),
        headers={"Content-Type": "application/pkcs10"},
        certificate=record.certificate,
    )

    assert 200 == answer.status_code, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    parts = BytesParser().parsebytes(head + answer.content).get_payload()
    pkcs8, bag = (base64.b64decode(part.get_payload()) for part in parts)
    made = load_der_private_key(pkcs8, None)
    leaf = x509.load_der_x509_certificate(read_certificates_only(bag)[0])
    assert isinstance(made, mlkem.MLKEM768PrivateKey)
    assert made.public_key().public_bytes_raw() == leaf.public_key().public_bytes_raw()
