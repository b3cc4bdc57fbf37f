"""ML-KEM certificates by command: keys made here, and requests that a certificate states."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pikaserver.testing.openssl import require_ml_dsa_openssl


@pytest.fixture(scope="module")
def signer(shell):
    """Return key and certificate of a holder."""
    key, out = shell.folder / "holder.key", shell.folder / "holder.pem"
    shell(
        *("cert", "issue", "--template", "device", "--subject", "CN=plc-77"),
        *("--key-type", "ml-dsa-44", "--key-out", key, "--out", out),
    )
    return key, out


def test_a_key_that_cannot_sign_gets_its_certificate(shell):
    """It is made, challenged and certified in one step."""
    key, out = shell.folder / "kem.key", shell.folder / "kem.pem"

    shell(
        *("cert", "issue", "--template", "key-establishment", "--subject", "CN=plc-70"),
        *("--key-type", "ml-kem-1024", "--key-out", key, "--out", out),
    )

    made = load_pem_private_key(key.read_bytes(), None)
    leaf = x509.load_pem_x509_certificates(out.read_bytes())[0]
    assert isinstance(made, mlkem.MLKEM1024PrivateKey)
    assert made.public_key().public_bytes_raw() == leaf.public_key().public_bytes_raw()


@pytest.mark.parametrize("kind", ["ml-kem-512", "ml-kem-768"])
def test_a_certificate_states_possession_of_a_key(shell, signer, kind):
    """RFC 9883: of a key made here, or of a public key that openssl made."""
    signer_key, certificate = signer
    out, csr = shell.folder / f"{kind}.pem", shell.folder / f"{kind}.csr"
    where = ["--key-type", kind, "--key-out", shell.folder / f"{kind}.key"]
    if kind == "ml-kem-512":
        openssl = require_ml_dsa_openssl()
        made = [openssl, "genpkey", "-algorithm", kind, "-outpubkey", shell.folder / "512.pub"]
        subprocess.run(made, capture_output=True, check=True)
        where = ["--public-key", shell.folder / "512.pub"]
    shell(
        *("csr", "create", "--stated-by", certificate, "--stated-by-key", signer_key),
        *("--out", csr, *where),
    )

    shell("cert", "issue", "--template", "key-establishment", "--csr", csr, "--out", out)

    shown = shell("csr", "show", csr, "-o", "json").json
    assert "by another key of the holder (RFC 9883)" == shown["signature"]
    leaf = x509.load_pem_x509_certificates(out.read_bytes())[0]
    assert "CN=plc-77" == leaf.subject.rfc4514_string()


def test_openssl_takes_the_chain(shell):
    """``openssl verify`` and its reading of the usage."""
    openssl = require_ml_dsa_openssl()
    chain, out = shell.folder / "kem-chain.pem", shell.folder / "kem.pem"
    shell("ca", "export", "issuing", "--chain", "--out", chain)

    verified = subprocess.run(
        [openssl, "verify", "-CAfile", chain, out], capture_output=True, text=True, check=False
    )
    text = subprocess.run(
        [openssl, "x509", "-in", out, "-noout", "-text"], capture_output=True, text=True, check=True
    ).stdout

    assert 0 == verified.returncode, verified.stderr
    assert "Public Key Algorithm: ML-KEM-1024" in text
    assert "Key Encipherment" in text


def test_what_belongs_together_is_said(shell, signer):
    """Sentences instead of a request that nobody takes."""
    _, certificate = signer
    key = shell.folder / "never.key"
    alone = shell.try_("csr", "create", "--key-type", "ml-kem-768", "--key-out", key)
    half = shell.try_("csr", "create", "--stated-by", certificate, "--key-out", key)
    wrong = shell.folder / "other.key"
    shell("csr", "create", "--subject", "CN=x", "--key-out", wrong)
    foreign = shell.try_(
        *("csr", "create", "--stated-by", certificate, "--stated-by-key", wrong),
        *("--key-type", "ml-kem-768", "--key-out", key),
    )

    assert (2, 2, 1) == (alone.code, half.code, foreign.code)
    assert "name --stated-by" in alone.errors
    assert "is not the key of" in foreign.errors
    assert not key.exists()
