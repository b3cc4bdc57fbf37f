"""``serverkeygen``: keys that the server makes, plain or in CMS, opened by openssl."""

import base64
import email
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.der import write_pem
from pikaserver.asn1.elements import members
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.request_attributes import attribute_value
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.testing.requirements import require_program
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import distinguished_name, throw_away_request
from pikaserver_est import storage
from pikaserver_est.key_delivery import KEY_PACKAGE, SECRET
from pikaserver_est.plugin import register_jobs

BASE = "/.well-known/est"
PKCS10 = {"Content-Type": "application/pkcs10"}
CODE = ("4711", "sesame")
DECRYPT_KEY_ID = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.37")
ASYMMETRIC_ID = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.54")
CAPABILITIES = x509.ObjectIdentifier("1.2.840.113549.1.9.15")


@pytest.fixture
def server(server):
    """Let the template have keys made here."""
    rules = replace(make_template().est, server_keys=True)
    server.templates.add(make_template(est=rules))
    return server


def with_attributes(key, *attributes):
    """Return a CSR in DER with these attributes; their values are in DER."""
    plain = throw_away_request(key, "plc-21")
    info, *_ = members(plain, "a request")
    version, subject, public, _attributes = members(plain, "its content", info.at)
    encoded = [
        der.sequence(der.oid(oid.dotted_string), der.set_of(value)) for oid, value in attributes
    ]
    tbs = der.sequence(
        *(plain[part.at : part.end] for part in (version, subject, public)),
        der.context(0, b"".join(sorted(encoded))),
    )
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return der.signed(tbs, der.sequence(der.oid("1.2.840.10045.4.3.2")), signature)


def ask(est, octets, **who):
    who = who or {"user": CODE}
    path = f"{BASE}/serverkeygen"
    return est.send("POST", path, base64.b64encode(octets), headers=PKCS10, **who)


def parts(answer):
    """Return content type and octets of each part, as a mail reader finds them."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    assert message.is_multipart()
    return [
        (part["Content-Type"], base64.b64decode(part.get_payload()))
        for part in message.get_payload()
    ]


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certified(octets):
    (certificate,) = read_certificates_only(octets)
    loaded = x509.load_der_x509_certificate(certificate)
    return loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_key_comes_with_its_certificate(est, server, key):
    """RFC 7030 section 4.4.2: multipart/mixed, base64, the key first; another than was sent."""
    answer = ask(est, throw_away_request(key, "plc-21"))

    assert (200, "no-store") == (answer.status_code, answer.headers["cache-control"])
    (kind, pkcs8), (second, certificate) = parts(answer)
    assert ("application/pkcs8", "application/pkcs7-mime; smime-type=certs-only") == (kind, second)
    made = load_der_private_key(pkcs8, None)
    assert spki(made) == certified(certificate) != spki(key)
    assert "CN=plc-21" == server.certificates.get(1).subject
    with server.database.reading() as connection:
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()


def test_the_request_says_which_kind_of_key(est, server, key):
    """The one in it where the template takes it, else a usual one."""
    kinds = frozenset({"ec-p384", "ed25519"})
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, key_types=kinds))
    curve = ec.generate_private_key(ec.SECP384R1())
    server.codes.find("4711").proof.uses_left = 9

    named = parts(ask(est, throw_away_request(curve, "plc-21")))[0][1]
    usual = parts(ask(est, throw_away_request(key, "plc-21")))[0][1]

    assert ["secp384r1"] * 2 == [
        load_der_private_key(one, None).curve.name for one in (named, usual)
    ]


@pytest.mark.parametrize("rules", [make_template().est])
def test_without_the_templates_word_nobody_gets_a_key(est, server, key, rules):
    """Keys made by others are a matter of policy."""
    server.templates.add(make_template(est=rules))

    assert 403 == ask(est, throw_away_request(key, "plc-21")).status_code
    assert not server.wishes


def test_the_signature_of_the_request_does_not_matter(est, key):
    """RFC 7030 section 4.4.1: a client that cannot make keys cannot sign either."""
    octets = bytearray(throw_away_request(key, "plc-21"))
    octets[-1] ^= 1

    assert 200 == ask(est, bytes(octets)).status_code


def test_extensions_that_were_asked_are_in_the_new_request(est, server, key):
    """What the template makes of them is its business."""
    octets = throw_away_request(key, "plc-21", x509.DNSName("plc-21.example"))

    ask(est, octets)

    assert ("dns:plc-21.example",) == server.certificates.get(1).names


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


def test_a_key_waits_sealed_for_the_approval(est, server, key):
    """202, then the key that was certified, once; afterwards nothing of it is kept."""
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, approval=True))
    octets = throw_away_request(key, "plc-21")
    first, second = ask(est, octets), ask(est, octets)
    with server.database.reading() as connection:
        sealed = connection.exec_driver_sql("SELECT sealed FROM est_generated_key").scalar()
    server.approve(1)

    third = ask(est, octets)

    assert [202, 202, 200] == [one.status_code for one in (first, second, third)]
    assert 1 == len({wish.csr.der for wish in server.wishes})
    (_, pkcs8), (_, certificate) = parts(third)
    assert pkcs8 not in sealed
    assert spki(load_der_private_key(pkcs8, None)) == certified(certificate)
    with server.database.reading() as connection:
        assert 0 == connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()


def test_a_key_that_nobody_approves_is_forgotten(est, server, key):
    """After a week; and at once when a rule refuses the request."""
    rules = server.templates.get("device").est
    server.templates.add(make_template(est=rules, approval=True))
    server.refuse_next(RequestRejected("no"))
    refused = ask(est, throw_away_request(key, "plc-20"))
    ask(est, throw_away_request(key, "plc-21"))
    (job,) = register_jobs(server)

    job.run()
    with server.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()
    server.clock.advance(timedelta(days=8))
    job.run()

    assert 400 == refused.status_code
    with server.database.reading() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM est_generated_key").scalar()
    assert (1, 0) == (kept, left)


def test_what_binds_to_another_certificate_goes_into_the_new_request(est, server, key):
    """RFC 9763: the proof by the first key says nothing of the second, so it stays good."""
    bound = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.60")
    value = der.sequence(der.null())

    answer = ask(est, with_attributes(key, (bound, value)), user=CODE)

    assert 200 == answer.status_code, answer.text
    assert value == attribute_value(server.wishes[0].csr, bound.dotted_string)
