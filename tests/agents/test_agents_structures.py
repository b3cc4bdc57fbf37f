"""What octets look like from the outside."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver_agents.structures import PROOF_LABEL, purpose_of

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example")])
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def certificate():
    builder = x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 5, NOW, NOW)
    return builder.sign(KEY, hashes.SHA256())


def crl():
    builder = x509.CertificateRevocationListBuilder(NAME, NOW, NOW)
    return builder.sign(KEY, hashes.SHA256()).tbs_certlist_bytes


def csr():
    builder = x509.CertificateSigningRequestBuilder(NAME)
    return builder.sign(KEY, hashes.SHA256()).tbs_certrequest_bytes


def status():
    one = certificate()
    builder = ocsp.OCSPResponseBuilder().add_response(
        one, one, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, NOW, NOW, None, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, one)
    return builder.sign(KEY, hashes.SHA256()).tbs_response_bytes


@pytest.mark.parametrize(
    ("octets", "purpose"),
    [
        (certificate().tbs_certificate_bytes, "certificate"),
        (crl(), "crl"),
        (csr(), "csr"),
        (status(), "status"),
        (der.set_of(der.integer(1)), "attributes"),
        (PROOF_LABEL + bytes(32), "proof"),
        (der.sequence(der.integer(1)), "other"),
        (b"\x30\x84\xff", "other"),
        (b"", "other"),
    ],
)
def test_structures_are_told_apart(octets, purpose):
    """For histories and for people; the agent reads all of it."""
    assert purpose == purpose_of(octets)


@given(st.binary(max_size=80))
def test_any_octets_have_a_purpose(octets):
    """Nothing is raised, whatever they are."""
    assert purpose_of(octets)
    assert purpose_of(b"\x30" + octets)
