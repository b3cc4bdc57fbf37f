"""Keys that the server makes and encrypts: opened by openssl, never sent in clear instead."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from pikaserver.asn1 import der
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.der import write_pem
from pikaserver.asn1.elements import members
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.testing.requirements import require_program
from pikaserver.testing.throw_away import distinguished_name
from pikaserver_est import storage
from pikaserver_est.key_delivery import KEY_PACKAGE, SECRET
from tests.est.key_requests import (
    ASYMMETRIC_ID,
    CAPABILITIES,
    DECRYPT_KEY_ID,
    ask,
    certified,
    parts,
    spki,
    with_attributes,
)

pytestmark = pytest.mark.usefixtures("making")


@pytest.fixture
def openssl(tmp_path):
    """Decrypt with openssl, and return what was inside."""
    program = require_program("openssl", package="openssl")

    def decrypt(octets, *options):
        message = tmp_path / "key.p7"
        message.write_bytes(octets)
        command = (program, "cms", "-decrypt", "-inform", "DER", "-in", str(message))
        told = subprocess.run([*command, *options], capture_output=True, check=False)
        assert 0 == told.returncode, told.stderr
        return told.stdout

    return decrypt


def unpacked(server, signed):
    """Return the key in a signed package, after checking who signed it."""
    read = read_signed_data(signed)
    signer = read.signer()
    read.verify(signer)
    record = server.certificates.by_certificate(signer)
    assert (KEY_PACKAGE, "cmc") == (read.content_type, record.template)
    (package,) = members(read.content, "AsymmetricKeyPackage")
    return load_der_private_key(read.content[package.at : package.end], None)


@pytest.mark.parametrize("octets", [16, 32])
def test_openssl_opens_what_is_encrypted_to_a_known_key(est, server, key, openssl, octets):
    """RFC 7030 section 4.4.1.1: a symmetric key that both had before."""
    secret = server.entropy(octets)
    sealed = server.secrets.seal(SECRET, secret)
    with server.database.transaction() as connection:
        entry = storage.DecryptKey("c0ffee", sealed, None, server.clock(), "test")
        storage.add_key(connection, entry)
    name = DECRYPT_KEY_ID, der.octet_string(bytes.fromhex("c0ffee"))

    answer = ask(est, with_attributes(key, name))

    (kind, enveloped), (_, certificate) = parts(answer)
    assert "application/pkcs7-mime; smime-type=server-generated-key" == kind
    inside = openssl(enveloped, "-secretkey", secret.hex(), "-secretkeyid", "c0ffee")
    assert spki(unpacked(server, inside)) == certified(certificate)


@pytest.mark.parametrize("make", ["rsa", "ec"])
def test_openssl_opens_what_is_encrypted_to_a_certificate(
    est, server, key, openssl, tmp_path, make
):
    """RFC 7030 section 4.4.1.2: the one that the client shows, RSA by OAEP, EC by agreement."""
    own = (
        rsa.generate_private_key(65537, 2048)
        if make == "rsa"
        else ec.generate_private_key(ec.SECP256R1())
    )
    record = server.issue(read_csr(request_of(own)))
    (tmp_path / "own.key").write_bytes(
        own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "own.pem").write_bytes(write_pem("CERTIFICATE", record.certificate))
    name = ASYMMETRIC_ID, der.octet_string(key_identifier(spki(own)))

    answer = ask(est, with_attributes(key, name), certificate=record.certificate)

    (_, enveloped), (_, certificate) = parts(answer)
    files = ("-inkey", str(tmp_path / "own.key"), "-recip", str(tmp_path / "own.pem"))
    assert spki(unpacked(server, openssl(enveloped, *files))) == certified(certificate)


def request_of(key):
    builder = x509.CertificateSigningRequestBuilder(distinguished_name("plc-21"))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "attributes",
    [
        [(DECRYPT_KEY_ID, der.octet_string(b"unknown"))],
        [(ASYMMETRIC_ID, der.octet_string(b"unknown"))],
        [(DECRYPT_KEY_ID, der.octet_string(b"a")), (ASYMMETRIC_ID, der.octet_string(b"b"))],
        [(DECRYPT_KEY_ID, der.integer(1))],
    ],
)
def test_a_key_that_is_not_known_ends_the_request(est, server, key, attributes):
    """RFC 7030 section 4.4.1: it must never be sent in clear instead."""
    answer = ask(est, with_attributes(key, *attributes))

    assert 400 == answer.status_code
    assert not server.wishes


def test_ciphers_are_those_that_the_client_knows(est, server, key, openssl):
    """SMIMECapabilities (RFC 7030 section 4.4.1.1)."""
    secret = server.entropy(32)
    with server.database.transaction() as connection:
        sealed = server.secrets.seal(SECRET, secret)
        storage.add_key(connection, storage.DecryptKey("aa", sealed, None, server.clock(), "test"))
    name = DECRYPT_KEY_ID, der.octet_string(b"\xaa")
    small, odd = (
        (CAPABILITIES, der.sequence(der.sequence(der.oid(oid))))
        for oid in ("2.16.840.1.101.3.4.1.2", "1.2.3.4")
    )

    taken = ask(est, with_attributes(key, name, small))
    refused = ask(est, with_attributes(key, name, odd))

    (_, enveloped), _ = parts(taken)
    assert der.oid("2.16.840.1.101.3.4.1.2") in enveloped
    assert openssl(enveloped, "-secretkey", secret.hex(), "-secretkeyid", "aa")
    assert (400, 1) == (refused.status_code, len(server.wishes))
