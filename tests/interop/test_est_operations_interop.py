"""EST beyond enrolling, with real clients on real lines: linked requests, server keys, approval."""

import base64
import email
import http.client
import io
import socket
import ssl
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)
from cryptography.x509.oid import AttributeOID
from OpenSSL import SSL

from pikaserver.api.registrars import CMC_RA
from pikaserver.asn1 import der
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.der import read_pem, write_pem
from pikaserver.testing.est_clients import CurlEst, StrongswanEst, make_wish
from pikaserver.testing.patience import until
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)
from pikaserver.web.tls_lines import EXPORTER, EXPORTER_OCTETS
from tests.est.key_requests import ASYMMETRIC_ID, with_attributes

PATH = "/.well-known/est/simpleenroll"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "client"
    made.mkdir()
    return made


@pytest.fixture
def curl(est_server, folder):
    return CurlEst(est_server.https, est_server.trust, folder)


def rule(est_server, **rules):
    changed = replace(make_template().est, **rules)
    est_server.fake.templates.add(make_template(est=changed))


class TlsTwelve:
    """Python's own TLS 1.2, which tells tls-unique."""

    name = "tls-unique"

    def __init__(self, port, trust):
        context = ssl.create_default_context(cafile=str(trust))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        plain = socket.create_connection(("127.0.0.1", port))
        self.line = context.wrap_socket(plain, server_hostname="localhost")
        self.close = self.line.close
        self.binding = self.line.get_channel_binding("tls-unique")

    def post(self, body, user):
        return answer_of(self.line, body, user)


class TlsThirteen:
    """pyOpenSSL's TLS 1.3, which exports keying material (RFC 9266)."""

    name = "tls-exporter"

    def __init__(self, port, trust):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.load_verify_locations(str(trust))
        context.set_verify(SSL.VERIFY_PEER)
        plain = socket.create_connection(("127.0.0.1", port))
        self.close = plain.close
        line = SSL.Connection(context, plain)
        line.set_tlsext_host_name(b"localhost")
        line.set_connect_state()
        line.do_handshake()
        self.line = Whole(line)
        self.binding = line.export_keying_material(EXPORTER, EXPORTER_OCTETS, b"")

    def post(self, body, user):
        return answer_of(self.line, body, user)


class Whole:
    """A connection of pyOpenSSL with the manners of a socket, as far as http.client asks."""

    def __init__(self, line):
        self._line = line

    def sendall(self, octets):
        self._line.sendall(octets)

    def makefile(self, _mode):
        octets = b""
        try:
            while True:
                octets += self._line.recv(65536)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            pass
        return io.BytesIO(octets)


def answer_of(line, body, user):
    credentials = base64.b64encode(":".join(user).encode()).decode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/pkcs10\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    line.sendall(head.encode() + body)
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status, answer.read().decode()


def linked(binding):
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder(distinguished_name("plc-21"))
    password = base64.b64encode(binding)
    csr = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password).sign(
        key, hashes.SHA256()
    )
    return base64.b64encode(csr.public_bytes(Encoding.DER))


@pytest.mark.parametrize("line", [TlsTwelve, TlsThirteen])
def test_a_linked_request_is_good_for_its_own_channel_only(est_server, line):
    """The right one is taken; the same octets replayed over another one are refused."""
    rule(est_server, possession_linking="required")
    port, code = int(est_server.https.rpartition(":")[2]), est_server.code(uses=5)
    own, other = (line(port, est_server.trust) for _ in range(2))
    with closing(own), closing(other):
        body = linked(own.binding)

        replayed = other.post(body, code)
        taken = own.post(body, code)

    assert own.binding != other.binding
    assert 400 == replayed[0], replayed
    assert "tied to another TLS session" in replayed[1]
    assert 200 == taken[0], taken
    assert 1 == len(est_server.fake.wishes)


def test_strongswan_polls_until_somebody_approves(est_server, folder):
    """202 with Retry-After, which ``pki --est`` honours; the third request brings it."""
    est_server.fake.templates.add(make_template(approval=True))
    est_server.fake.retry_after = 1
    wish = make_wish(folder, "plc-21")
    client = StrongswanEst(est_server.https, est_server.trust, folder)
    client.options = ("--interval", "1", "--maxpolltime", "60")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.enroll(wish, est_server.code())))
    thread.start()
    until(lambda: est_server.fake.requests.records, "a request")

    est_server.fake.approve(1)
    thread.join(60)

    (answer,) = answers
    assert 200 == answer.status, answer.text
    assert b"BEGIN CERTIFICATE" in answer.certificate.read_bytes()


def parts(answer, head):
    message = email.message_from_string(f"{head}\r\n\r\n{answer}")
    return [base64.b64decode(part.get_payload()) for part in message.get_payload()]


def post(curl, folder, operation, body, *options, content="application/pkcs10"):
    """Post with curl; return status, body and the line of the content type."""
    (folder / "body").write_bytes(body)
    head = folder / "head"
    sent = ("-H", f"Content-Type: {content}", "--data-binary", f"@{folder / 'body'}")
    answer = curl.send(operation, "-D", str(head), *sent, *options)
    lines = head.read_text().splitlines()
    kind = next((one for one in lines if one.lower().startswith("content-type:")), "")
    return answer.status, answer.text, kind


def test_a_server_key_that_openssl_decrypts_is_the_certified_one(est_server, curl, folder):
    """Curl fetches it for the certificate that it shows, openssl opens it, both match."""
    rule(est_server, server_keys=True)
    wish = make_wish(folder, "plc-21")
    shown = curl.enroll(wish, est_server.code()).certificate
    (own,) = read_pem(shown.read_bytes(), "CERTIFICATE")
    public = x509.load_der_x509_certificate(own).public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public).digest
    body = base64.b64encode(with_key_name(wish, identifier))
    who = ("--cert", str(shown), "--key", str(wish.key))

    status, text, kind = post(curl, folder, "serverkeygen", body, *who)

    assert 200 == status, text
    enveloped, certificates = parts(text, kind)
    (folder / "enveloped.der").write_bytes(enveloped)
    command = ("openssl", "cms", "-decrypt", "-inform", "DER", "-in", folder / "enveloped.der")
    files = ("-inkey", wish.key, "-recip", shown, "-out", folder / "signed.der")
    subprocess.run([*command, *files], check=True, capture_output=True)
    chain = folder / "chain.pem"
    chain.write_text("".join(curl.ca_certificates()))
    verify = ("openssl", "cms", "-verify", "-inform", "DER", "-purpose", "any")
    told = subprocess.run(
        [*verify, "-in", folder / "signed.der", "-CAfile", chain], check=True, capture_output=True
    )
    # AsymmetricKeyPackage is a SEQUENCE of one key.
    package = told.stdout
    made = load_der_private_key(package[package.index(b"\x30", 1) :], None)
    (certificate,) = read_certificates_only(certificates)
    assert public_octets(made.public_key()) == public_octets(
        x509.load_der_x509_certificate(certificate).public_key()
    )


def public_octets(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def with_key_name(wish, identifier):
    key = load_pem_private_key(wish.key.read_bytes(), None)
    return with_attributes(key, (ASYMMETRIC_ID, der.octet_string(identifier)))


def test_an_ra_enrols_for_others_until_it_is_revoked(est_server, curl, folder):
    """By curl, with its certificate (cmcRA); the device's certificate comes back."""
    fake = est_server.fake
    fake.templates.add(make_template(registrars=frozenset({"registrar"})))
    fake.templates.add(make_template("registrar"))
    certificate, key = registrar(fake, folder)
    wish = make_wish(folder, "plc-77")
    body = base64.b64encode(read_pem(wish.csr.read_bytes(), "CERTIFICATE REQUEST")[0])
    who = ("--cert", str(certificate), "--key", str(key))

    status, text, _ = post(curl, folder, "simpleenroll", body, *who)
    (issued,) = read_certificates_only(base64.b64decode(text))
    est_server.revoke(certificate)
    refused, why, _ = post(curl, folder, "simpleenroll", body, *who)

    assert 200 == status, text
    assert "CN=plc-77" == x509.load_der_x509_certificate(issued).subject.rfc4514_string()
    assert (401, "the client certificate is revoked\n") == (refused, why)


def registrar(fake, folder):
    """Give a certificate for an RA, as files."""
    issuing, now = fake.authorities.keys["issuing"][0], fake.clock()
    key = throw_away_key(fake.entropy)
    usage = x509.ExtendedKeyUsage([CMC_RA, x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    made = issuing.certify(
        spki(key),
        distinguished_name("RA"),
        now,
        now + timedelta(days=9),
        extensions=[(usage, False)],
    )
    record = fake.issue(read_csr(throw_away_request(key, "RA")), "registrar")
    serial = x509.load_der_x509_certificate(made).serial_number
    fake.certificates.add(replace(record, certificate=made, serial=serial))
    certificate, private = folder / "ra.pem", folder / "ra.key"
    certificate.write_bytes(write_pem("CERTIFICATE", made))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def test_a_device_revokes_itself_with_curl(est_server, curl, folder):
    """And asks before when it should have renewed."""
    wish = make_wish(folder, "plc-21")
    shown = curl.enroll(wish, est_server.code()).certificate
    who = ("--cert", str(shown), "--key", str(wish.key))

    window = curl.send("renewal", *who)
    revoked = curl.send("simplerevoke?reason=cessationOfOperation", "-X", "POST", *who)
    again = curl.send("renewal", *who)

    assert (200, 200, 401) == (window.status, revoked.status, again.status)
    assert "suggestedWindow" in window.text
    assert revoked.text.endswith("is revoked\n")
