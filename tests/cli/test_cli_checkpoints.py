"""Checkpoints of the audit trail: signed, verified by OpenSSL, and unforgiving."""

import shutil
import sqlite3
import subprocess

import pytest

from pikaserver.testing.openssl import require_ml_dsa_openssl


@pytest.fixture(params=["ec-p256", "ml-dsa-65"])
def signed(request, fresh_shell):
    """Return a shell, and a checkpoint that a key of this kind signed."""
    shell, out = fresh_shell, fresh_shell.folder / "checkpoint.der"
    shell("ca", "set", "issuing", "--service", f"audit.key-type={request.param}")
    shell("audit", "checkpoint", "--out", out)
    return shell, out


def test_openssl_verifies_a_checkpoint(signed):
    """Without this program: CMS with signed attributes, ML-DSA as RFC 9882 has it."""
    shell, out = signed
    chain = shell.folder / "chain.pem"
    shell("ca", "export", "issuing", "--chain", "--out", chain)

    asked = ("-inform", "DER", "-in", out, "-CAfile", chain, "-purpose", "any")
    told = subprocess.run(
        [require_ml_dsa_openssl(), "cms", "-verify", *asked], capture_output=True, check=False
    )

    assert 0 == told.returncode, told.stderr
    assert b'"kind":"pikaserver-audit-checkpoint"' in told.stdout


def test_a_trail_that_grew_still_holds(signed):
    """What came later changes nothing; what was there is held against it."""
    shell, out = signed
    shell("code", "create", "--template", "device")

    verified = shell.json("audit", "verify", "--checkpoint", out)

    assert (True, "valid") == (verified["intact"], verified["signer_status"])
    assert "audit.checkpoint" in {one["event"] for one in shell.json("audit", "list")}


def test_a_trail_that_was_replaced_is_found_out(signed):
    """A whole older database is intact in itself, and does not hold what was signed."""
    shell, out = signed
    older = shell.folder / "older"
    shutil.copytree(shell.data, older)
    for _ in range(2):
        shell("code", "create", "--template", "device")
    later = shell.folder / "later.der"
    shell("audit", "checkpoint", "--out", later)
    shutil.rmtree(shell.data)
    shutil.copytree(older, shell.data)

    earlier = shell.json("audit", "verify", "--checkpoint", out)
    cut = shell.try_("audit", "verify", "--checkpoint", later, "-o", "json")

    assert earlier["intact"]
    assert 1 == cut.code
    assert "is not there any more" in cut.json["problem"]
    for _ in range(3):
        shell("code", "create", "--template", "device")
    anew = shell.try_("audit", "verify", "--checkpoint", later, "-o", "json")
    assert 1 == anew.code
    assert "is another one" in anew.json["problem"]


def test_what_others_signed_is_no_checkpoint(signed):
    """Nor is one that was altered."""
    shell, out = signed
    octets = bytearray(out.read_bytes())
    at = octets.index(b'"sequence":') + len(b'"sequence":')
    octets[at] = ord("9") if octets[at] != ord("9") else ord("8")
    bent = shell.file("bent.der", bytes(octets))
    key, own = shell.folder / "own.key", shell.folder / "own.pem"
    shell(
        *("cert", "issue", "--template", "document-signing", "--subject", "CN=Ann"),
        *("--key-out", key, "--out", own),
    )
    content, theirs = shell.file("content", b"{}"), shell.folder / "theirs.der"
    asked = ("-in", content, "-signer", own, "-inkey", key, "-out", theirs)
    subprocess.run(
        [require_ml_dsa_openssl(), "cms", "-sign", "-nodetach", "-outform", "DER", *asked],
        check=True,
    )

    altered = shell.try_("audit", "verify", "--checkpoint", bent)
    foreign = shell.try_("audit", "verify", "--checkpoint", theirs)

    assert (1, 1) == (altered.code, foreign.code)
    assert "not about this content" in altered.errors
    assert "for something else" in foreign.errors


def test_a_rewritten_record_is_named_first(signed):
    """The walk along the chain comes before the checkpoint."""
    shell, out = signed
    with sqlite3.connect(shell.data / "pikaserver.db") as database:
        database.execute("UPDATE audit_record SET actor = 'nobody' WHERE sequence = 1")

    answer = shell.try_("audit", "verify", "--checkpoint", out, "-o", "json")

    assert 1 == answer.code
    assert "record 1 is altered" in answer.json["problem"]
