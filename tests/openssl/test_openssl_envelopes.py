"""What is sealed for ML-KEM keys (RFC 9936), as challenges are: others open ours, and we theirs."""

import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pikaserver.asn1.enveloped_data import seal
from pikaserver.asn1.kem_envelopes import KemRecipient, open_for
from pikaserver.clock import system_entropy
from tests.openssl.bouncycastle import require_bouncycastle

CONTENT = b"what is sealed"
SIGNED = b"what is signed"
KINDS = {"ML-KEM-768": mlkem.MLKEM768PrivateKey, "ML-KEM-1024": mlkem.MLKEM1024PrivateKey}
_SEED = b"\x04\x40"
"""An OCTET STRING of 64 octets: BouncyCastle 1.80 writes the bare seed, 1.86 both (RFC 9935)."""


def test_bouncycastle_opens_ours_and_we_open_its(tmp_path):
    """By keys that it made, as it writes them."""
    judge = require_bouncycastle()
    judge(tmp_path, *KINDS, program="Maker")
    jobs = []
    for name in KINDS:
        spki = (tmp_path / f"{name}.spki").read_bytes()
        (tmp_path / f"{name}.ours").write_bytes(seal(CONTENT, [KemRecipient(spki)], system_entropy))
        jobs.append(f"opens:{name}.ours:{name}.pkcs8")

    said = judge(tmp_path, *jobs)

    assert [f"good {job}" for job in jobs] == said.splitlines()
    for name, kind in KINDS.items():
        _, _, rest = (tmp_path / f"{name}.pkcs8").read_bytes().partition(_SEED)
        key = kind.from_seed_bytes(rest[: _SEED[1]])
        sealed, spki = (tmp_path / f"{name}.{end}" for end in ("sealed", "spki"))
        assert SIGNED == open_for(sealed.read_bytes(), spki.read_bytes(), key.decapsulate)


@pytest.fixture
def openssl(program, tmp_path):
    """Run an OpenSSL that has ML-KEM in CMS: 3.6 or newer, which few distributions have yet."""

    def call(*words):
        done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout

    version = call("version").split()[1].decode()
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 6):
        pytest.skip(f"OpenSSL {version} has no ML-KEM in CMS; PIKASERVER_TEST_OPENSSL names a 3.6")
    return call


@pytest.mark.parametrize("name", KINDS)
def test_openssl_opens_ours_and_we_open_its(openssl, tmp_path, name):
    """A certificate names the key there; here its identifier does."""
    key = KINDS[name].generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "kem.key").write_bytes(pem)
    (tmp_path / "ours").write_bytes(seal(CONTENT, [KemRecipient(spki)], system_entropy))
    (tmp_path / "content").write_bytes(SIGNED)
    openssl("genpkey", "-algorithm", "ML-DSA-44", "-out", "ca.key")
    openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=ca", "-out", "ca.pem")
    openssl("pkey", "-in", "kem.key", "-pubout", "-out", "kem.pub")
    openssl(
        *("x509", "-new", "-CA", "ca.pem", "-CAkey", "ca.key", "-force_pubkey", "kem.pub"),
        *("-subj", "/CN=kem", "-out", "kem.pem"),
    )
    openssl(
        *("cms", "-encrypt", "-binary", "-in", "content", "-outform", "DER", "-out", "theirs"),
        *("-recip", "kem.pem", "-keyid", "-aes256"),
    )

    said = openssl("cms", "-decrypt", "-inform", "DER", "-in", "ours", "-inkey", "kem.key")

    assert CONTENT == said
    assert SIGNED == open_for((tmp_path / "theirs").read_bytes(), spki, key.decapsulate)
