"""CRLs are signed, listed, shown and exported by command."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def test_crls_are_issued_when_due_and_on_demand(fresh_shell):
    """The first ones are due; then nothing is, until somebody asks by name."""
    shell = fresh_shell
    assert [] == shell.json("crl", "list")
    assert 3 == shell.try_("crl", "show", "issuing").code

    due = {row["authority"] for row in shell.json("crl", "generate")}
    again = shell("crl", "generate", "-o", "json")
    forced = shell.json("crl", "generate", "issuing")

    assert {"root", "issuing"} == due
    assert ([], True) == (again.json, "no CRL is due" in again.errors)
    assert [2] == [row["number"] for row in forced]
    assert {"fresh"} == {row["state"] for row in shell.json("crl", "list")}
    assert 3 == shell.try_("crl", "generate", "nobody").code


def test_a_crl_lists_what_was_revoked(fresh_shell):
    """In words, in JSON, in PEM and in DER."""
    shell = fresh_shell
    key = shell.folder / "x.key"
    row = shell.json(
        "cert", "issue", "--template", "web", "--dns", "x.example.test", "--key-out", key
    )
    words = ("--reason", "superseded", "--invalidity-date", "2026-01-02T03:04:05Z", "--yes")
    shell("cert", "revoke", row["serial"], *words)
    shell("crl", "generate", "issuing")

    shown = shell.json("crl", "show", "issuing")

    assert [(row["serial"], "superseded", "2026-01-02T03:04:05Z")] == [
        (one["serial"], one["reason"], one["invalid_since"]) for one in shown["revoked"]
    ]
    assert row["serial"] in shell("crl", "show", "issuing").text
    pem = x509.load_pem_x509_crl(shell("crl", "export", "issuing").octets)
    der = x509.load_der_x509_crl(shell("crl", "export", "issuing", "--format", "der").octets)
    assert pem == der == x509.load_pem_x509_crl(shell("crl", "show", "issuing", "-o", "pem").octets)
    assert int(row["serial"], 16) == pem[0].serial_number


class OfflineRoot:
    """A root whose key never comes near the server."""

    def __init__(self, common_name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
        now, public = datetime.now(UTC), self.key.public_key()
        self.certificate = (
            x509.CertificateBuilder(self.name, self.name, public, 1)
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=300))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def crl(self, number, *serials, ends=timedelta(days=3)):
        """Return a CRL in PEM."""
        at = datetime.now(UTC) - timedelta(days=1)
        entries = [x509.RevokedCertificateBuilder(serial, at).build() for serial in serials]
        return (
            x509.CertificateRevocationListBuilder(self.name, at, at + ends, (), entries)
            .add_extension(x509.CRLNumber(number), critical=False)
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )


def test_an_offline_roots_crl_is_uploaded_and_verified(shell):
    """Its certificate is known, its key is not; the same file is not taken twice."""
    root = OfflineRoot("Offline Root")
    pem = root.certificate.public_bytes(Encoding.PEM)
    words = ("--certificate", shell.file("offline.pem", pem))
    shell("ca", "import", "offline", "--no-key", *words)
    assert "elsewhere" == shell.json("ca", "show", "offline")["key"]
    crl = shell.file("offline.crl", root.crl(3, 10, 11))

    assert 3 == shell.json("crl", "upload", "offline", crl)["number"]
    assert 7 == shell.try_("crl", "upload", "offline", crl).code
    assert 2 == len(shell.json("crl", "show", "offline")["revoked"])
    assert [(3, "fresh", 2)] == [
        (row["number"], row["state"], row["entries"]) for row in shell.json("crl", "verify", crl)
    ]
    over = shell.file("over.crl", root.crl(2, ends=timedelta(hours=1)))
    assert 6 == shell.try_("crl", "verify", over).code
    assert 1 == shell.try_("crl", "upload", "offline", over).code


def test_a_foreign_crl_is_verified_by_a_certificate_at_hand(shell):
    """Who is unknown here is told so; who did not sign it, too."""
    stranger, twin = OfflineRoot("Stranger"), OfflineRoot("Stranger")
    crl = shell.file("stranger.crl", stranger.crl(1))
    own = shell.file("stranger.pem", stranger.certificate.public_bytes(Encoding.PEM))
    other = shell.file("twin.pem", twin.certificate.public_bytes(Encoding.PEM))

    assert "fresh" == shell.json("crl", "verify", crl, "--issuer", own)[0]["state"]
    assert "not signed" in shell.try_("crl", "verify", crl, "--issuer", other).errors
    assert "no certificate" in shell.try_("crl", "verify", crl).errors


def test_an_authority_moves_in_with_its_last_crl(shell):
    """Numbers go on, and what was revoked stays revoked."""
    root = OfflineRoot("Moves in")
    pkcs8 = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shell(
        *("ca", "import", "moves", "--key-file", shell.file("moves.key", pkcs8)),
        *("--certificate", shell.file("moves.pem", root.certificate.public_bytes(Encoding.PEM))),
        *("--crl", shell.file("moves.crl", root.crl(99, 0x77))),
    )

    shown = shell.json("crl", "show", "moves")

    assert (["77"], 100) == ([row["serial"] for row in shown["revoked"]], shown["number"])
    assert 101 == shell.json("crl", "generate", "moves")[0]["number"]


def test_deltas_and_shards_are_set_listed_and_shown(fresh_shell):
    """Options say what is signed; each part is found by its own."""
    shell = fresh_shell
    set_words = ("--crl-deltas", "--crl-delta-every", "30m", "--crl-shards", "2")
    changed = shell.json("ca", "set", "issuing", *set_words, "--crl-overlap", "2d")

    scopes = {row["scope"] for row in shell.json("crl", "generate", "issuing")}

    assert (True, 2, "3d") == tuple(
        changed[name] for name in ("crl_deltas", "crl_shards", "crl_validity")
    )
    assert {"full", "delta", "shard-1", "shard-2"} == scopes
    full, delta = (shell.json("crl", "show", "issuing", *words) for words in ((), ("--delta",)))
    assert ("delta", full["number"]) == (delta["scope"], delta["base_number"])
    assert shell("crl", "export", "issuing", "--shard", "2").octets.startswith(b"-----BEGIN X509")
    assert 2 == shell.try_("crl", "show", "issuing", "--shard", "1", "--delta").code
    assert 3 == shell.try_("crl", "show", "issuing", "--shard", "3").code
    for words, why in (
        (("--crl-delta-every", "3d"), "--crl-delta-validity"),
        (("--crl-url", "http://crl.example.test/x.crl"), "{shard}"),
    ):
        assert why in shell.try_("ca", "set", "issuing", *words).errors
