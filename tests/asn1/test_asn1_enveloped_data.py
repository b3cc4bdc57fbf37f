"""Envelopes: what we seal others open, what others seal we open, and failures look alike."""

import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.signing import KeyTransport
from pikaserver.asn1 import der
from pikaserver.asn1.ber import definite
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS, without_padding
from pikaserver.asn1.enveloped_data import (
    LIMIT_OCTETS,
    seal,
)
from pikaserver.asn1.key_transport import OAEP, read_transport, transport_identifier
from pikaserver.asn1.recipients import (
    KeyAgreementRecipient,
    KeyTransportRecipient,
    PasswordRecipient,
    WrappedKeyRecipient,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.requirements import require_program
from tests.asn1.envelopes import CONTENT, START, Holder, opened


@pytest.fixture(scope="module")
def holder():
    return Holder(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def envelope(holder):
    return seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())


@pytest.fixture(scope="module")
def openssl():
    return require_program("openssl", package="openssl")


@pytest.mark.parametrize("cipher", CONTENT_CIPHERS)
@pytest.mark.parametrize("transport", [KeyTransport(), OAEP, KeyTransport("sha1", "sha1")])
def test_what_we_seal_we_open(holder, cipher, transport):
    """Every cipher and every way to carry the key."""
    recipients = [KeyTransportRecipient(holder.certificate, transport)]
    envelope = seal(CONTENT, recipients, CountedEntropy(), cipher)

    assert CONTENT == opened(envelope, holder)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc", "3des"])
def test_openssl_opens_what_we_seal(holder, openssl, cipher, tmp_path):
    """By key transport."""
    envelope = seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy(), cipher)

    assert CONTENT == decrypted(openssl, envelope, holder.write(tmp_path))


def test_openssl_opens_what_is_sealed_by_agreement(openssl, tmp_path):
    """ECDH as RFC 5753 says."""
    holder = Holder(ec.generate_private_key(ec.SECP384R1()))
    envelope = seal(CONTENT, [KeyAgreementRecipient(holder.certificate)], CountedEntropy())

    assert CONTENT == decrypted(openssl, envelope, holder.write(tmp_path))


@pytest.mark.parametrize("octets", [16, 24, 32])
def test_openssl_opens_what_is_sealed_with_a_shared_key(openssl, octets):
    """Wrapped by AES, found by its name."""
    key = bytes(range(octets))
    envelope = seal(CONTENT, [WrappedKeyRecipient(b"name", key)], CountedEntropy())
    words = ["-secretkey", key.hex(), "-secretkeyid", b"name".hex()]

    assert CONTENT == decrypted(openssl, envelope, words)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc"])
def test_openssl_opens_what_is_sealed_with_a_password(openssl, cipher):
    """RFC 3211, for keys that cannot encrypt."""
    envelope = seal(CONTENT, [PasswordRecipient("secret")], CountedEntropy(), cipher)

    assert CONTENT == decrypted(openssl, envelope, ["-pwri_password", "secret"])


@pytest.mark.parametrize(
    "words",
    [
        ["-aes128"],
        ["-aes256", "-keyid"],
        ["-des3"],
        ["-aes128", "-keyopt", "rsa_padding_mode:oaep"],
        ["-aes128", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
        ["-aes128", "-stream", "-indef"],
    ],
)
def test_we_open_what_openssl_seals(holder, openssl, words, tmp_path):
    """Named by issuer and serial or by key identifier, DER and BER in pieces."""
    holder = with_key_identifier(holder)
    holder.write(tmp_path)
    at = words.index("-keyopt") if "-keyopt" in words else len(words)
    command = [openssl, "cms", "-encrypt", "-binary", "-outform", "DER", *words[:at]]
    command += ["-recip", tmp_path / "cert.pem", *words[at:]]
    envelope = subprocess.run(command, input=CONTENT, capture_output=True, check=True).stdout

    assert CONTENT == opened(envelope, holder)


def with_key_identifier(holder):
    made = Holder.__new__(Holder)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holder")])
    public_key = holder.key.public_key()
    built = (
        x509.CertificateBuilder(subject, subject, public_key, 4712)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=10))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(holder.key, hashes.SHA256())
    )
    made.key, made.decrypt = holder.key, holder.decrypt
    made.certificate = built.public_bytes(Encoding.DER)
    return made


def decrypted(openssl, envelope, words):
    command = [openssl, "cms", "-decrypt", "-binary", "-inform", "DER", *words]
    done = subprocess.run(command, input=envelope, capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize(
    "transport",
    [
        KeyTransport(),
        OAEP,
        KeyTransport("sha1", "sha1"),
        KeyTransport("sha512", "sha1"),
        KeyTransport("sha384", "sha384"),
    ],
)
def test_ways_to_carry_a_key_are_read_as_they_are_written(transport):
    """Each hash by itself."""
    assert transport == read_transport(transport_identifier(transport))


def test_oaep_by_default_is_sha1():
    """RFC 8017 appendix A.2.1."""
    assert KeyTransport("sha1", "sha1") == read_transport(
        der.sequence(der.oid("1.2.840.113549.1.1.7"), der.sequence())
    )


@given(st.binary(min_size=1, max_size=80), st.sampled_from([8, 16]))
def test_padding_comes_off_as_it_went_on(content, block):
    """RFC 5652 section 6.3, also where whole blocks are padded."""
    missing = block - len(content) % block

    assert (content, True) == without_padding(content + bytes([missing]) * missing, block)


@given(st.binary(max_size=60), st.integers(1, 30))
def test_ber_becomes_der(content, size):
    """Indefinite lengths, octet strings in pieces, lengths that are too long."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    inside = b"".join(b"\x04\x81" + bytes([len(piece)]) + piece for piece in pieces)
    ber = b"\x30\x80\x24\x80" + inside + b"\x00\x00\x02\x01\x05\x00\x00"

    expected = der.sequence(der.octet_string(content), der.integer(5))
    assert expected == definite(ber, limit_octets=LIMIT_OCTETS)
    assert expected == definite(expected, limit_octets=LIMIT_OCTETS)
