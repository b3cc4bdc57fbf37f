"""Private keys from files of every kind, and into files."""

import shutil
import subprocess
from datetime import UTC, datetime
from os import urandom

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.certificate import builder_public_key
from pikaserver.signing.key_bundles import write_pkcs12
from pikaserver.signing.private_keys import (
    public_key,
    read_key_file,
    read_private_key,
    write_private_key,
)

PASSPHRASE = b"correct horse"


@pytest.fixture(scope="module")
def keys():
    """One key of each kind."""
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "ec": ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "ml-dsa": mldsa.MLDSA65PrivateKey.generate(),
    }


def pkcs8_of(key):
    """Return PKCS#8 in DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def spki_of(key):
    """Return the public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate_over(key, issuer):
    """Return a certificate for a key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .public_key(builder_public_key(spki_of(key)))
    )
    return builder.sign(issuer, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519", "ed448", "ml-dsa"])
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
@pytest.mark.parametrize("encryption", [NoEncryption(), BestAvailableEncryption(PASSPHRASE)])
def test_pkcs8_is_read(keys, kind, encoding, encryption):
    """RFC 5958, plain and encrypted; a needless passphrase does no harm."""
    octets = keys[kind].private_bytes(encoding, PrivateFormat.PKCS8, encryption)

    assert pkcs8_of(keys[kind]) == read_private_key(octets, PASSPHRASE)
    assert spki_of(keys[kind]) == public_key(pkcs8_of(keys[kind]))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_traditional_forms_are_read(keys, kind, encoding):
    """PKCS#1 and SEC 1."""
    octets = keys[kind].private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    assert pkcs8_of(keys[kind]) == read_private_key(octets)


def test_traditional_encryption_is_read(keys):
    """The headers of old PEM; the passphrase is needed and checked."""
    encryption = BestAvailableEncryption(PASSPHRASE)
    text = keys["rsa"].private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption)

    assert pkcs8_of(keys["rsa"]) == read_private_key(text, PASSPHRASE)
    with pytest.raises(MalformedRequest, match="its passphrase is needed"):
        read_private_key(text)
    with pytest.raises(MalformedRequest, match="does not open"):
        read_private_key(text, b"wrong")


def test_certificates_beside_the_key_are_kept(keys):
    """A PEM file as servers have it: key, certificate, chain, parameters."""
    chain = [certificate_over(keys[kind], keys["ec"]) for kind in ("rsa", "ec")]
    text = b"".join(
        [
            der.write_pem("EC PARAMETERS", b"\x05\x00"),
            der.write_pem("CERTIFICATE", chain[0]),
            der.write_pem("PRIVATE KEY", pkcs8_of(keys["rsa"])),
            der.write_pem("CERTIFICATE", chain[1]),
        ]
    )

    found = read_key_file(text)

    assert (pkcs8_of(keys["rsa"]), tuple(chain)) == (found.pkcs8, found.certificates)
    assert "pkcs8" not in repr(found)
    with pytest.raises(MalformedRequest):
        read_key_file(text + der.write_pem("CERTIFICATE", b"broken"))


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519", "ed448", "ml-dsa"])
def test_pkcs12_is_read_as_it_was_written(keys, kind):
    """RFC 7292, with the chain."""
    chain = [certificate_over(keys["rsa"], keys["ec"])]
    certificate = certificate_over(keys[kind], keys["ec"])

    octets = write_pkcs12(
        pkcs8_of(keys[kind]), [certificate, *chain], PASSPHRASE, "a name", urandom
    )

    found = read_key_file(octets, PASSPHRASE)
    assert pkcs8_of(keys[kind]) == found.pkcs8
    assert (certificate, *chain) == found.certificates
    for wrong in (b"wrong", None):
        with pytest.raises(MalformedRequest, match=r"does not open|is needed"):
            read_key_file(octets, wrong)


def test_pkcs12_has_its_limits(keys):
    """Key and certificate belong together; a passphrase is needed."""
    certificate = certificate_over(keys["ec"], keys["ec"])

    for pkcs8, own, passphrase, why in (
        (pkcs8_of(keys["ml-dsa"]), certificate, PASSPHRASE, "not the certificate's"),
        (pkcs8_of(keys["rsa"]), certificate, PASSPHRASE, "not the certificate's"),
        (pkcs8_of(keys["ec"]), certificate, b"", "needs a passphrase"),
    ):
        with pytest.raises(RequestRejected, match=why):
            write_pkcs12(pkcs8, [own], passphrase, "name", urandom)
    alone = pkcs12.serialize_key_and_certificates(
        None, None, x509.load_der_x509_certificate(certificate), None, NoEncryption()
    )
    with pytest.raises(MalformedRequest, match="no private key"):
        read_key_file(alone)


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519", "ed448", "ml-dsa"])
def test_pem_is_read_as_it_was_written(keys, kind):
    """Plain and encrypted; an empty passphrase is somebody's mistake."""
    pkcs8 = pkcs8_of(keys[kind])

    assert pkcs8 == read_private_key(write_private_key(pkcs8, None, urandom))
    sealed = write_private_key(pkcs8, PASSPHRASE, urandom)
    assert sealed.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert pkcs8 == read_private_key(sealed, PASSPHRASE)
    with pytest.raises(RequestRejected, match="empty"):
        write_private_key(pkcs8, b"", urandom)


def test_wrong_and_missing_passphrases_get_one_sentence(keys):
    """Which one of the two is told."""
    text = write_private_key(pkcs8_of(keys["ec"]), PASSPHRASE, urandom)

    with pytest.raises(MalformedRequest, match="its passphrase is needed"):
        read_private_key(text)
    for attempt in range(20):
        with pytest.raises(MalformedRequest):
            read_private_key(text, str(attempt).encode())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), "rsa-1024 are not taken"),  # noqa: S505
        (lambda: ec.generate_private_key(ec.SECP224R1()), "unknown are not taken"),
        (lambda: dsa.generate_private_key(2048), "unknown are not taken"),
        (x25519.X25519PrivateKey.generate, "unknown are not taken"),
    ],
)
def test_keys_of_other_kinds_are_refused(make, why):
    """What cannot sign here, or is too weak, is not stored."""
    with pytest.raises(RequestRejected, match=why):
        read_private_key(pkcs8_of(make()))


def test_openssh_keys_are_refused_with_advice(keys):
    """They are no PKCS#8."""
    text = keys["ed25519"].private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    with pytest.raises(RequestRejected, match=r"OPENSSH PRIVATE KEY .* PKCS#8"):
        read_private_key(text)


def test_files_without_one_key_are_refused(keys):
    """No key, two keys, too large."""
    one = der.write_pem("PRIVATE KEY", pkcs8_of(keys["ec"]))

    for octets in (der.write_pem("CERTIFICATE", b"x"), one + one, bytes(2 << 20), b"", one[:-30]):
        with pytest.raises(MalformedRequest):
            read_private_key(octets)


@pytest.mark.parametrize(
    "options",
    [
        ("-v2", "aes-256-cbc"),
        ("-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"),
        ("-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"),
        ("-scrypt",),
        ("-v1", "PBE-SHA1-3DES"),
    ],
)
def test_what_openssl_encrypts_is_read(keys, tmp_path, options):
    """``openssl pkcs8 -topk8`` with each derivation; old schemes too."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    pkcs8 = pkcs8_of(keys["ec"])
    (tmp_path / "key").write_bytes(pkcs8)
    command = [openssl, "pkcs8", "-topk8", "-inform", "DER", "-in", tmp_path / "key"]

    text = subprocess.run(
        [*command, "-passout", "pass:correct horse", *options], capture_output=True, check=True
    ).stdout

    assert pkcs8 == read_private_key(text, PASSPHRASE)
    with pytest.raises(MalformedRequest):
        read_private_key(text, b"wrong")


@settings(max_examples=150, deadline=None)
@given(data=st.data(), at=st.integers(0, 400), octets=st.binary(max_size=4))
def test_bent_files_raise_nothing_else(bendable, data, at, octets):
    """Any input is read, malformed, or of a kind that is refused."""
    whole = data.draw(st.sampled_from(bendable))
    bent = whole[:at] + octets + whole[at + len(octets) :]
    for candidate in (bent, bent[:at], octets):
        try:
            found = read_private_key(candidate, PASSPHRASE)
        except (MalformedRequest, RequestRejected):
            continue
        assert default_algorithm(key_type(public_key(found)))


@pytest.fixture(scope="module")
def bendable(keys):
    """Files of all kinds."""
    own = certificate_over(keys["ec"], keys["ec"])
    return [
        *(pkcs8_of(key) for key in keys.values()),
        write_private_key(pkcs8_of(keys["ed25519"]), None, urandom),
        write_private_key(pkcs8_of(keys["ed25519"]), PASSPHRASE, urandom),
        write_pkcs12(pkcs8_of(keys["ec"]), [own], PASSPHRASE, "x", urandom),
        keys["ec"].private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    ]
