"""Root and issuing authority on one YubiKey, through pcscd: openssl and ykman see the same."""

import hashlib
import json
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.testing.requirements import require_program

SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
SLOTS = {"9C": ("hw-root", "ECCP384"), "9D": ("hw", "ECCP256")}


@pytest.fixture(scope="module")
def openssl():
    return require_program("openssl", package="openssl")


def test_openssl_verifies_certificates_and_lists_of_the_card(card_desk, openssl, tmp_path):
    """The chain up to the root in slot 9c, and the lists of both, before and after a revocation."""
    server = card_desk.server
    answer = card_desk.devices(*card_desk.wish).once()
    leaf = x509.load_der_x509_certificate(answer.certificate)
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    for name in ("hw-root", "hw"):
        (tmp_path / f"{name}.pem").write_text(server.command("ca", "show", name, "-o", "pem"))

    assert "leaf.pem: OK" in verdict(openssl, tmp_path, server)

    serial = f"{leaf.serial_number:X}"
    server.command("cert", "revoke", serial, "--reason", "key-compromise", "--yes")
    server.wait_for_crl(leaf.serial_number, authority="hw")
    assert "certificate revoked" in verdict(openssl, tmp_path, server)


def verdict(openssl, folder, server):
    lists = []
    for name in ("hw-root", "hw"):
        file = folder / f"{name}.crl"
        crl = x509.load_der_x509_crl(server.get(f"/crl/{name}.crl"))
        file.write_bytes(crl.public_bytes(Encoding.PEM))
        lists += ["-CRLfile", file]
    told = subprocess.run(
        [
            openssl,
            "verify",
            "-crl_check_all",
            *lists,
            "-CAfile",
            folder / "hw-root.pem",
            "-untrusted",
            folder / "hw.pem",
            folder / "leaf.pem",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout + told.stderr


def test_the_attestations_are_shown_at_the_server(card_desk):
    """The agent verified them against the maker's root; the server shows and keeps them."""
    told = json.loads(card_desk.server.command("agent", "show", "vault-a", "-o", "json"))

    verified = "verified: Test PIV Root CA"
    assert [f"yubikey/9c: {verified}", f"yubikey/9d: {verified}"] == told["attestations"]
    assert "serial 12345678" in told["stores"][0]
    keys = json.loads(card_desk.server.command("agent", "keys", "-o", "json"))
    for key in keys:
        statement = x509.load_der_x509_certificate(bytes.fromhex(key["attestation"][0]))
        attested = statement.public_key().public_bytes(*SPKI)
        assert key["spki"] == f"sha256:{hashlib.sha256(attested).hexdigest()}"
        assert ("generated", "once", "never") == tuple(
            key["details"][name] for name in ("origin", "pin-policy", "touch-policy")
        )


def test_ykman_shows_the_same_slots(card_desk):
    """Keys, certificates and policies are the card's own, whoever asks it."""
    card_desk.agent.stop()
    try:
        told = card_desk.ykman("piv", "info")
        exported = {
            slot: card_desk.ykman("piv", "certificates", "export", slot, "-")
            for slot in ("9c", "9d")
        }
    finally:
        card_desk.start()

    assert 0 == told.returncode, told.stderr
    for slot, (name, key_type) in SLOTS.items():
        part = re.search(rf"Slot {slot} .*?(?=\n\n|\Z)", told.stdout, re.DOTALL).group()
        assert f"Private key type: {key_type}" in part
        assert f"Subject DN:       CN={name}\n" in part
        pem = card_desk.server.command("ca", "show", name, "-o", "pem")
        assert pem.strip() == exported[slot.lower()].stdout.strip()
    assert "PIN tries remaining:      3/3" in told.stdout
    assert "WARNING" not in told.stdout
