"""Pairs of certificates by command: both in one step, shown, and revoked."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1.related_certificates import related_hash


@pytest.fixture(scope="module")
def pair(shell):
    """Return the files of both certificates."""
    shell("template", "set", "device", 'related.mode="allowed"')
    return make_pair(shell, "plc-1")


def make_pair(shell, name):
    folder = shell.folder
    files = [folder / f"{name}.pem", folder / f"{name}-pq.pem"]
    shell(
        *("cert", "issue", "--template", "web", "--dns", f"{name}.example.test"),
        *("--key-out", folder / f"{name}.key", "--out", files[0]),
        *("--pair", "device", "--pair-key-out", folder / f"{name}-pq.key", "--pair-out", files[1]),
    )
    return files


def loaded(path):
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def serial_of(path):
    return f"{loaded(path).serial_number:X}"


def test_both_are_issued_in_one_step(shell, pair):
    """The second has an ML-DSA key and names the first."""
    first, second = (loaded(path) for path in pair)

    assert isinstance(second.public_key(), mldsa.MLDSA65PublicKey)
    assert related_hash(second).fits(first.public_bytes(Encoding.DER))
    shown = shell.json("cert", "show", serial_of(pair[1]))
    assert shown["related_certificate"].startswith("sha256 ")


def test_a_pair_is_shown_from_both_sides(shell, pair):
    """Nothing is to be done while both are valid."""
    rows = shell.json("cert", "pair", serial_of(pair[0]))
    others = shell.json("cert", "pair", serial_of(pair[1]))

    assert [None, None] == [row["to_do"] for row in rows]
    assert [row["serial"] for row in rows] == [row["serial"] for row in reversed(others)]


def test_revoking_one_reminds_of_the_other(shell):
    """Or takes it along."""
    files = make_pair(shell, "plc-2")
    both = make_pair(shell, "plc-3")

    alone = shell("cert", "revoke", serial_of(files[0]), "--reason", "superseded", "--yes")
    rows = shell.json("cert", "revoke", serial_of(both[0]), "--pair", "--yes")

    assert f"{serial_of(files[1])} is bound to it and still valid" in alone.errors
    left = shell.json("cert", "pair", serial_of(files[0]))
    assert "bound to one that is revoked: renew it, or revoke it" == left[1]["to_do"]
    assert ["revoked", "revoked"] == [row["status"] for row in rows]


def test_a_second_that_is_refused_stops_the_first(shell):
    """Nothing is signed, nothing is written; what failed is said."""
    out, keys = shell.folder / "alone.pem", [shell.folder / f"alone{n}.key" for n in (1, 2)]
    answer = shell.try_(
        *("cert", "issue", "--template", "web", "--dns", "alone.example.test"),
        *("--key-out", keys[0], "--out", out, "--pair", "web", "--pair-key-out", keys[1]),
    )

    assert 1 == answer.code
    assert "binds no certificates to others" in answer.errors
    assert [] == shell.json("cert", "list", "--name", "alone.example.test")
    assert not any(path.exists() for path in (out, *keys))
    half = shell.try_("cert", "issue", "--template", "web", "--dns", "x.test", "--pair", "device")
    assert 2 == half.code
