"""The whole way: key, root, leaf and CRL of every algorithm, judged by OpenSSL."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.signing import KeyReference
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.asn1.certificate import assemble, builder_public_key, tbs
from pikaserver.asn1.crl import CrlHead, crl_pieces, entry, in_memory, tbs_pieces
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import SOFTWARE_KEY_TYPES

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = str(int((START + timedelta(hours=1)).timestamp()))
ALGORITHMS = [(kind, default_algorithm(kind)) for kind in SOFTWARE_KEY_TYPES if kind != "rsa-4096"]
ALGORITHMS += [("rsa-2048", "rsa-pss-sha256"), ("rsa-2048", "rsa-pss-sha512")]
CA = x509.Name.from_rfc4514_string("CN=Root,O=Example")


def builder(subject, spki, serial, authority_key):
    """Return a builder for root and leaf."""
    ca = subject == CA
    usage = x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(CA)
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=30))
        .public_key(builder_public_key(spki))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(spki)), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(key_identifier(authority_key), None, None), critical=False
        )
    )


@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_openssl_accepts_the_leaf_until_it_is_revoked(
    module_backend, openssl, tmp_path, kind, algorithm
):
    """RFC 5280 section 6: path and CRL, for each way of signing."""
    reference = KeyReference("software", f"{kind}.{algorithm}")
    spki = module_backend.generate(reference, kind, exportable=False)
    signer = module_backend.open(reference, algorithm)

    def certificate(subject, serial):
        octets = tbs(builder(subject, spki, serial, spki), algorithm)
        return assemble(octets, algorithm, sign_tbs(signer, octets, spki))

    def crl(*serials):
        entries = in_memory(
            entry(serial, START, RevocationReason.KEY_COMPROMISE) for serial in serials
        )
        end = START + timedelta(days=1)
        head = CrlHead(CA.public_bytes(), algorithm, START, end, 1, key_identifier(spki))
        signature = sign_pieces(signer, lambda: tbs_pieces(head, entries), spki)
        return b"".join(crl_pieces(head, entries, signature))

    leaf = certificate(x509.Name.from_rfc4514_string("CN=leaf.example"), 77)
    (tmp_path / "root").write_bytes(der.write_pem("CERTIFICATE", certificate(CA, 1)))
    (tmp_path / "leaf").write_bytes(der.write_pem("CERTIFICATE", leaf))

    def verify(revoked):
        (tmp_path / "crl").write_bytes(der.write_pem("X509 CRL", crl(*revoked)))
        files = ("-CAfile", tmp_path / "root", "-CRLfile", tmp_path / "crl", tmp_path / "leaf")
        return openssl("verify", "-crl_check", "-x509_strict", "-attime", AT, *files, check=False)

    assert b"OK" in verify([])
    assert b"certificate revoked" in verify([5, 77])
