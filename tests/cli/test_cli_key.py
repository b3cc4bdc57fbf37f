"""Keys are made, brought, handed out and destroyed by command."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)


@pytest.fixture(scope="module")
def secret(shell):
    return shell.file("secret", "correct horse\n")


def test_a_key_is_made_and_listed(shell):
    """PEM shows its public half."""
    public = shell("key", "generate", "software:spare", "--type", "ec-p384", "-o", "pem").octets

    row = next(r for r in shell.json("key", "list") if r["key"] == "software:spare")
    assert "secp384r1" == load_pem_public_key(public).curve.name
    assert ("ec-p384", None, False) == (row["type"], row["authority"], row["exportable"])
    assert 7 == shell.try_("key", "generate", "software:spare").code
    assert 3 == shell.try_("key", "generate", "moon:spare").code
    assert "key.generated" in {r["event"] for r in shell.json("audit", "list")}


def test_the_keys_of_authorities_are_named_and_stay(shell):
    """Also that of an authority which waits for its certificate."""
    shell("ca", "create", "waiting", "--csr", "--subject", "CN=Waiting")
    users = {row["key"]: row["authority"] for row in shell.json("key", "list")}

    for name in ("issuing", "waiting"):
        answer = shell.try_("key", "remove", f"software:{name}-1", "--yes")
        assert name == users[f"software:{name}-1"]
        assert (7, True) == (answer.code, f"authority '{name}'" in answer.errors)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_key_comes_in_and_goes_out_again(shell, secret, sealed):
    """Encrypted, unless somebody insists; the audit trail knows of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    seal = BestAvailableEncryption(b"correct horse") if sealed else NoEncryption()
    file = shell.file(f"in-{sealed}", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, seal))
    name, out = f"software:moved-{sealed}", shell.folder / f"out-{sealed}"

    words = ["--passphrase-file", secret] if sealed else []
    shell("key", "import", name, file, "--exportable", *words)
    shell("key", "export", name, "--out", out, "--passphrase-file", secret)
    plain = shell("key", "export", name, "--unencrypted").octets

    handed = load_pem_private_key(out.read_bytes(), b"correct horse")
    assert key.private_numbers() == handed.private_numbers()
    assert 0o600 == stat.S_IMODE(out.stat().st_mode)
    assert key.private_numbers() == load_pem_private_key(plain, None).private_numbers()
    events = [row["event"] for row in shell.json("audit", "list", "--last", "3")]
    assert ["key.imported", "key.exported", "key.exported"] == events


def test_what_was_not_made_exportable_stays(shell, secret):
    """Not even an operator gets it."""
    answer = shell.try_("key", "export", "software:root-1", "--passphrase-file", secret)

    assert (1, b"", True) == (answer.code, answer.octets, "not made exportable" in answer.errors)


def test_destroying_asks_first(shell):
    """And is for good."""
    shell("key", "generate", "software:doomed")

    assert 1 == shell.try_("key", "remove", "software:doomed", given="n\n").code
    assert "destroyed" == shell.json("key", "remove", "software:doomed", "--yes")["state"]
    assert 3 == shell.try_("key", "remove", "software:doomed", "--yes").code
