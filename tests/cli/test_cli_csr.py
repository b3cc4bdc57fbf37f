"""Requests are made with any key, and looked into without believing them."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.cli.main import run
from pikaserver.signing.software import SOFTWARE_KEY_TYPES

FAST = [name for name in SOFTWARE_KEY_TYPES if not name.startswith("rsa-")]


@pytest.mark.parametrize("kind", [*FAST, "rsa-2048"])
def test_a_request_is_made_with_a_key_of_any_type(shell, kind):
    """And is read again, with its proof."""
    key, out = shell.folder / f"{kind}.key", shell.folder / f"{kind}.csr"
    words = ("--key-type", kind, "--key-out", key, "--out", out)
    shell("csr", "create", "--subject", "CN=Device,O=Acme", "--dns", "a.example.test", *words)

    shown = shell.json("csr", "show", out)

    assert ("CN=Device,O=Acme", ["dns:a.example.test"], kind) == tuple(
        shown[key] for key in ("subject", "names", "key_type")
    )
    assert "made with the key in it" in shown["signature"]


def test_a_key_of_the_server_signs_a_request(shell):
    """With the hash and padding that were asked."""
    shell("key", "generate", "software:tls", "--type", "rsa-2048")

    words = ("--key-ref", "software:tls", "--hash", "sha384", "--pss")
    csr = shell("csr", "create", "--subject", "CN=x", *words).octets

    shown = shell("csr", "show", "-", "-o", "json", given=csr).json
    assert "rsa-pss-sha384, made with the key in it" == shown["signature"]
    assert "csr.signing" == shell.json("audit", "list", "--last", "1")[0]["event"]
    assert 3 == shell.try_("csr", "create", "--subject", "CN=x", "--key-ref", "software:no").code


def test_a_key_in_a_file_signs_a_request(shell):
    """It is read, not copied."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = shell.file("own.key", pem)

    csr = x509.load_pem_x509_csr(
        shell(
            "csr", "create", "--uri", "urn:x:1", "--upn", "a@example.test", "--key-file", file
        ).octets
    )

    assert key.public_key() == csr.public_key()
    assert csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_one_key_is_named(shell, tmp_path):
    """Neither none nor two."""
    assert 2 == shell.try_("csr", "create", "--subject", "CN=x").code
    two = ("--key-out", tmp_path / "x", "--key-ref", "software:root-1")
    assert 2 == shell.try_("csr", "create", "--subject", "CN=x", *two).code


def test_a_request_needs_no_server(tmp_path, capsys):
    """On a host that has no data folder at all."""
    key, out = tmp_path / "x.key", tmp_path / "x.csr"

    code = run(["csr", "create", "--subject", "CN=x", "--key-out", str(key), "--out", str(out)])

    assert (0, "") == (code, capsys.readouterr().err)
    assert 0 == run(["csr", "show", str(out)])


def test_a_forged_request_is_shown_as_such(shell):
    """Somebody else's key in it proves nothing."""
    key = shell.folder / "forged.key"
    csr = shell("csr", "create", "--subject", "CN=x", "--key-out", key).octets
    der = bytearray(x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER))
    der[der.index(b"x", 20)] = ord("y")

    shown = shell("csr", "show", "-", "-o", "json", given=bytes(der)).json

    assert shown["signature"].startswith("not valid")


@pytest.mark.parametrize("octets", [b"", b"hello", b"\x30\x80", b"-----BEGIN NOTHING-----"])
def test_what_is_no_request_is_told(shell, octets):
    """In one sentence."""
    answer = shell.try_("csr", "show", "-", given=octets)

    assert (1, 1) == (answer.code, answer.errors.count("\n"))


def test_a_name_beyond_ascii_is_told_how_it_is_written(shell):
    """RFC 5280 section 7.2: certificates carry A-labels; nobody has to know that beforehand."""
    answer = shell.try_("csr", "create", "--dns", "münchen.example", "--key-out", "x.key")

    assert 1 == answer.code
    assert "is written 'xn--mnchen-3ya.example'" in answer.errors
