"""A stored request says nothing of the password that came in it."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.csr_redaction import without_password

KEY = ec.derive_private_key(4711, ec.SECP256R1())


def request(password):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plc-21")])
    builder = x509.CertificateSigningRequestBuilder(name)
    if password is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password.encode())
    return read_csr(builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER))


@given(st.text("abcdefgh0123456789", min_size=1, max_size=100))
def test_neither_password_nor_signature_is_kept(password):
    """The signature covers the password, so it would tell whether a guess is right."""
    csr = request(password)

    kept = read_csr(without_password(csr))

    assert "*" * len(password) == kept.challenge_password
    assert not any(kept.signature)
    assert (csr.subject, csr.public_key) == (kept.subject, kept.public_key)
    assert len(csr.der) == len(kept.der)


def test_a_request_without_a_password_is_kept_as_it_is():
    """There is nothing to hide."""
    csr = request(None)

    assert csr.der == without_password(csr)
