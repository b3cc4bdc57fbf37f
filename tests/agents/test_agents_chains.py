"""Chains as agents take them: no longer than they can verify."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import builder_public_key, tbs
from pikaserver_agents.chains import verifiable

START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = x509.Name.from_rfc4514_string("CN=Any")
KEY = der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(32)))


def signed_with(algorithm):
    """Return a certificate that names this algorithm; nobody verifies it here."""
    builder = (
        x509.CertificateBuilder(NAME, NAME, builder_public_key(KEY), 1)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=1))
    )
    octets = tbs(builder, algorithm)
    return der.signed(octets, SIGNATURE_ALGORITHMS[algorithm].identifier, bytes(64))


@pytest.mark.parametrize(
    ("algorithms", "kept"),
    [
        (["ecdsa-sha256", "ecdsa-sha256"], 2),
        (["slh-dsa-sha2-128s", "slh-dsa-sha2-128s"], 1),
        (["ml-dsa-65", "slh-dsa-shake-256f", "slh-dsa-shake-256f"], 2),
        ([], 0),
    ],
)
def test_a_chain_ends_with_what_slh_dsa_signed(algorithms, kept):
    """An agent verifies each link by cryptography, which has no SLH-DSA."""
    chain = [signed_with(algorithm) for algorithm in algorithms]

    assert tuple(chain[:kept]) == verifiable(chain)


def test_what_cannot_be_read_is_left_to_the_agent():
    """It says what is wrong with it."""
    assert (b"one", b"two") == verifiable([b"one", b"two"])
