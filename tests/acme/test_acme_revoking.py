"""Revocation: by the account, by the key, by whoever proved the names, and by nobody else."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from pikaserver.api.certificates import CertificateStatus, RevocationReason
from tests.acme.desk import b64, csr_of, problem
from tests.acme.issued import NAME, record_of, revoke


def test_the_account_revokes_with_a_reason(desk, server):
    """Once; a second time it hears that it is done."""
    pem = desk.certificate(NAME)

    answer, again = revoke(desk, pem, reason=1), revoke(desk, pem)

    assert (200, b"") == (answer.status_code, answer.content)
    assert RevocationReason.KEY_COMPROMISE is record_of(server, pem).revocation.reason
    assert "alreadyRevoked" == problem(again)


@pytest.mark.parametrize("reason", [2, 6, 8, 99, -1, "1", True, None])
def test_reasons_that_are_not_a_subscribers_are_refused(desk, server, reason):
    """cACompromise, a hold, nonsense."""
    pem = desk.certificate(NAME)

    assert "badRevocationReason" == problem(revoke(desk, pem, reason=reason))
    assert record_of(server, pem).revocation is None


def test_the_key_of_a_certificate_revokes_it(desk, server):
    """By jwk, without an account; any other key does not."""
    key = ec.generate_private_key(ec.SECP256R1())
    done = desk.finalize(desk.order(NAME), csr_of(NAME, key=key))
    pem = desk.post(done.json["certificate"]).text
    holder, thief = desk.another(), desk.another()
    holder.key = ECKey.import_key(_pem(key))

    assert "unauthorized" == problem(revoke(thief, pem))
    assert 200 == revoke(holder, pem).status_code
    assert CertificateStatus.REVOKED is record_of(server, pem).status


def test_who_has_proved_all_names_revokes(prover):
    """RFC 8555 section 7.6; one that has proved some, or was given them, does not."""
    order = prover.order("a.example.com", "b.example.com")
    for index in (0, 1):
        prover.settle(prover.challenge(order, index=index))
    done = prover.finalize(order, csr_of("a.example.com", "b.example.com"))
    pem = prover.post(done.json["certificate"]).text
    other = prover.another()
    other.register()
    new = other.order("a.example.com", "b.example.com")

    other.settle(other.challenge(new, index=0))
    refused = revoke(other, pem)
    other.settle(other.challenge(new, index=1))

    assert "unauthorized" == problem(refused)
    assert 200 == revoke(other, pem).status_code


def test_a_name_that_anybody_gets_proves_nothing(desk, server):
    """Pre-approval lets in, and gives no power over the certificates of others."""
    pem = desk.certificate(NAME)
    other = desk.another()
    other.register()
    other.certificate(NAME)

    assert "unauthorized" == problem(revoke(other, pem))
    assert record_of(server, pem).revocation is None


def test_only_certificates_of_ours_are_revoked(desk, server):
    """Not an authority's, not one of another door, not a stranger's."""
    root = server.authorities.get("issuing").generations[0].certificate
    foreign = b64(root)

    assert "unauthorized" == problem(desk.post("revoke-cert", {"certificate": foreign}))
    assert "malformed" == problem(desk.post("revoke-cert", {"certificate": "AAAA"}))
    assert "malformed" == problem(desk.post("revoke-cert", {}))


def _pem(key):
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - here only
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
