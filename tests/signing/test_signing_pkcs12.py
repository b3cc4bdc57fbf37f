"""PKCS#12 with post-quantum keys: OpenSSL reads ours, we read OpenSSL's."""

import subprocess
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.certificate import builder_public_key
from pikaserver.asn1.der import write_pem
from pikaserver.clock import system_entropy
from pikaserver.signing import pkcs12 as own
from pikaserver.signing.key_bundles import write_pkcs12
from pikaserver.signing.private_keys import read_key_file
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.throw_away import distinguished_name

PASSPHRASE = "schöner Zufall"  # noqa: S105 - of throw-away files
ISSUER = ec.generate_private_key(ec.SECP256R1())
KEYS = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate(),
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate(),
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate(),
    "ml-kem-768": mlkem.MLKEM768PrivateKey.generate(),
}


def certificate_over(key, name):
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    builder = (
        x509.CertificateBuilder(distinguished_name("Issuer"), distinguished_name(name))
        .public_key(builder_public_key(spki))
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    )
    return builder.sign(ISSUER, hashes.SHA256()).public_bytes(Encoding.DER)


def pkcs8_of(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


ABOVE = certificate_over(ISSUER, "Issuer")


@pytest.fixture(scope="module", params=KEYS)
def whole(request):
    """Return key, certificate and file."""
    key = KEYS[request.param]
    certificate = certificate_over(key, request.param)
    octets = write_pkcs12(
        pkcs8_of(key), [certificate, ABOVE], PASSPHRASE.encode(), "ein Name", system_entropy
    )
    return key, certificate, octets


def openssl(*words, given=b""):
    command = [require_ml_dsa_openssl(), *words]
    return subprocess.run(command, input=given, capture_output=True, check=True).stdout


def test_openssl_reads_ours(whole, tmp_path):
    """Key, certificates, the name; another passphrase opens nothing."""
    key, certificate, octets = whole
    path = tmp_path / "ours.p12"
    path.write_bytes(octets)

    text = openssl("pkcs12", "-in", str(path), "-noenc", "-passin", f"pass:{PASSPHRASE}")

    seed = load_der_private_key(pkcs8_of(key), None).public_key().public_bytes_raw()
    start = text.index(b"-----BEGIN PRIVATE KEY")
    der = openssl("pkey", "-pubout", "-outform", "DER", given=text[start:])
    assert der.endswith(seed)
    found = x509.load_pem_x509_certificates(text)
    assert {certificate, ABOVE} == {one.public_bytes(Encoding.DER) for one in found}
    assert b"friendlyName: ein Name" in text
    with pytest.raises(subprocess.CalledProcessError):
        openssl("pkcs12", "-in", str(path), "-noenc", "-passin", "pass:other")


def test_we_read_ours(whole):
    """What was written, and nothing with another passphrase."""
    key, certificate, octets = whole

    found = read_key_file(octets, PASSPHRASE.encode())

    assert pkcs8_of(key) == found.pkcs8
    assert (certificate, ABOVE) == found.certificates
    for wrong in (b"other", b"", b"\xff"):
        with pytest.raises(MalformedRequest, match="does not open"):
            read_key_file(octets, wrong)


@pytest.mark.parametrize("form", ["seed-priv", "seed-only"])
def test_we_read_openssls(tmp_path, form):
    """Its key in both forms (RFC 9881), with the certificate's chain in any order."""
    pem = openssl(
        "genpkey", "-algorithm", "ml-dsa-65", "-provparam", f"ml-dsa.output_formats={form}"
    )
    public = openssl("pkey", "-pubout", "-outform", "DER", given=pem)
    key, chain, out = (tmp_path / name for name in ("key", "chain", "out.p12"))
    builder = (
        x509.CertificateBuilder(distinguished_name("Issuer"), distinguished_name("theirs"))
        .public_key(builder_public_key(public))
        .serial_number(8)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    )
    certificate = builder.sign(ISSUER, hashes.SHA256()).public_bytes(Encoding.DER)
    key.write_bytes(pem)
    chain.write_bytes(write_pem("CERTIFICATE", certificate) + write_pem("CERTIFICATE", ABOVE))
    openssl(
        *("pkcs12", "-export", "-inkey", str(key), "-in", str(chain), "-out", str(out)),
        *("-passout", f"pass:{PASSPHRASE}"),
    )

    found = read_key_file(out.read_bytes(), PASSPHRASE.encode())

    mine = load_der_private_key(found.pkcs8, None).public_key()
    assert public.endswith(mine.public_bytes_raw())
    assert (certificate, ABOVE) == found.certificates
    if form == "seed-only":
        assert load_pem_private_key(pem, None).public_key() == mine


def test_our_reader_agrees_with_another_writer():
    """What cryptography writes of an EC key."""
    certificate = x509.load_der_x509_certificate(ABOVE)
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    octets = pkcs12.serialize_key_and_certificates(b"x", ISSUER, certificate, None, encryption)

    found = own.read(octets, PASSPHRASE.encode())

    assert ((pkcs8_of(ISSUER),), (ABOVE,)) == (found.keys, found.certificates)


def test_the_derivation_is_that_of_the_standard():
    """RFC 7292 appendix B.2, by the values that Bouncy Castle and OpenSSL test with."""
    salt = bytes.fromhex("3d83c0e4546ac140")
    password = "smeg".encode("utf-16-be") + b"\0\0"

    derived = own.derive("sha1", password, salt, 1, purpose=3)

    assert "8d967d88f6caa9d714800ab3d48051d63f73a312" == derived.hex()


FILE = own.write(pkcs8_of(KEYS["ml-dsa-44"]), [ABOVE], b"x", "x", system_entropy)


@settings(max_examples=60)
@given(at=st.integers(min_value=0), octet=st.integers(1, 255))
def test_no_altered_file_opens_or_raises_anything_else(at, octet):
    """The MAC covers all that is in it."""
    octets = bytearray(FILE)
    octets[at % len(octets)] ^= octet

    with pytest.raises(MalformedRequest):
        own.read(bytes(octets), b"x")


@given(octets=st.binary(max_size=60))
def test_no_octets_raise_anything_else(octets):
    """Files come from strangers."""
    with pytest.raises(MalformedRequest):
        own.read(octets, b"x")
