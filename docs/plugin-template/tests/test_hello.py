"""The greeting and the rule, without a socket and without a database."""

import ast
from pathlib import Path

import pikaserver_hello
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.templates import make_template


def wish(common_name):
    """Return the wish for a certificate with this common name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    der = csr.public_bytes(Encoding.DER)
    return EnrollmentRequest(read_csr(der), Requester("a test", "test"), "device", "est")


def test_everybody_is_greeted():
    """Without TLS, too."""
    client = ServiceClient(*pikaserver_hello.register_services(), tls=False)

    assert "Hello\n" == client.get("/hello").text


def test_names_of_others_are_refused():
    """The sentence goes to the requester and into the decision trace."""
    (rule,) = pikaserver_hello.register_validators()

    rule.check(wish("plc-21.example.org"), make_template())
    with pytest.raises(RequestRejected, match=r"'plc-21.example.com' does not end in"):
        rule.check(wish("plc-21.example.com"), make_template())


def test_only_the_public_api_is_imported():
    """What stands outside ``pikaserver.api`` and ``pikaserver.asn1`` may change at any time."""
    tree = ast.parse(Path(pikaserver_hello.__file__).read_text(encoding="utf-8"))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]

    ours = [name.split(".")[:2] for name in imported if name.startswith("pikaserver.")]
    assert all(name in (["pikaserver", "api"], ["pikaserver", "asn1"]) for name in ours)
