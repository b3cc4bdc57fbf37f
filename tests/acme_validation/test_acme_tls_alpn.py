"""tls-alpn-01: the certificate that counts, and those that do not."""

import hashlib
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.asn1 import der
from pikaserver_acme.validation.tls_alpn_01 import ACME_IDENTIFIER
from tests.acme_validation.certificates import self_signed
from tests.acme_validation.tokens import KEY_AUTHORIZATION

NAME = x509.DNSName("www.example.org")
DIGEST = hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()


def acme_identifier(digest=DIGEST, *, critical=True):
    """Return the extension."""
    return x509.UnrecognizedExtension(ACME_IDENTIFIER, der.octet_string(digest)), critical


@pytest.fixture
def shown(dns, serve, ask):
    """Return a function: a server that shows a certificate, and the question about it."""

    def make(pem, protocols=("acme-tls/1",), **changes):
        dns.add("www.example.org", "A", "127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        names = []
        context.sni_callback = lambda _line, name, _context: names.append(name)
        server = serve(lambda _line, _head: None, context)
        return names, ask("tls-alpn-01", limits={"tls_port": server.port}, **changes)

    return make


@pytest.mark.parametrize("name", ["www.example.org", "WWW.example.ORG"])
def test_the_certificate_of_the_rfc_counts(shown, look, tmp_path, name):
    """RFC 8737 section 3; the name is asked for as it stands."""
    names, question = shown(self_signed(tmp_path, [x509.DNSName(name)], [acme_identifier()]))

    assert look(question).valid
    assert ["www.example.org"] == names


def test_an_address_is_asked_for_by_its_reverse_name(shown, look, tmp_path):
    """RFC 8738 section 6: and named as an address."""
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names, question = shown(
        self_signed(tmp_path, [address], [acme_identifier()]),
        identifier_type="ip",
        identifier_value="127.0.0.1",
    )

    assert look(question).valid
    assert ["1.0.0.127.in-addr.arpa"] == names


@pytest.mark.parametrize(
    ("names", "extensions", "told"),
    [
        ([NAME], [acme_identifier(b"x" * 32)], "carries another key authorization"),
        ([NAME], [acme_identifier(DIGEST[:31])], "carries another key authorization"),
        ([NAME], [acme_identifier(critical=False)], "is not critical"),
        ([NAME], [], "has no acmeIdentifier"),
        ([NAME, x509.DNSName("b.example")], [acme_identifier()], "and nothing else"),
        ([x509.DNSName("b.example")], [acme_identifier()], "should name www.example.org"),
        ([x509.RFC822Name("www.example.org")], [acme_identifier()], "should name"),
        ([], [acme_identifier()], "should name www.example.org"),
    ],
)
def test_other_certificates_do_not(shown, look, tmp_path, names, extensions, told):
    """Every word of RFC 8737 section 3."""
    _, question = shown(self_signed(tmp_path, names, extensions))

    verdict = look(question)

    assert "unauthorized" == verdict.error
    assert told in verdict.detail


def test_a_certificate_of_an_authority_does_not(shown, look, tmp_path):
    """It has to be self-signed."""
    pem = self_signed(
        tmp_path, [NAME], [acme_identifier()], signer=ec.generate_private_key(ec.SECP256R1())
    )

    assert "the certificate is not self-signed" == look(shown(pem)[1]).detail


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)])
def test_a_server_that_does_not_speak_the_protocol_does_not(shown, look, tmp_path, protocols):
    """A shared host serves the name, but not for its owner (RFC 8737 section 6)."""
    pem = self_signed(tmp_path, [NAME], [acme_identifier()])

    assert look(shown(pem, protocols)[1]).error in {"unauthorized", "tls"}


def test_a_server_without_tls_is_told_apart(dns, serve, ask, validation):
    """By its own word, and another attempt may find it."""
    dns.add("www.example.org", "A", "127.0.0.1")
    plain = serve(lambda line, _head: line.sendall(b"x"))

    verdict, again = validation.validate(
        ask("tls-alpn-01", limits={"tls_port": plain.port, "timeout_seconds": 1})
    )

    assert verdict.error in {"tls", "connection"}
    assert again
