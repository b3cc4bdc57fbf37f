"""Certificates are issued, found, revoked and exported by command."""

import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12


def issue(shell, name, *words):
    """Issue a web certificate with a new key and return both files."""
    key, out = shell.folder / f"{name}.key", shell.folder / f"{name}.pem"
    shell(
        *("cert", "issue", "--template", "web", "--dns", f"{name}.example.test"),
        *("--key-out", key, "--out", out, *words),
    )
    return key, out


def serial_of(path):
    """Ask openssl, as scripts do."""
    words = ["openssl", "x509", "-in", path, "-noout", "-serial"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def www(shell):
    return issue(shell, "www")


def test_a_local_key_gets_its_certificate(www):
    """The key is its owner's alone; the certificate comes with those above but the root."""
    key, out = www

    certificates = x509.load_pem_x509_certificates(out.read_bytes())
    assert load_pem_private_key(key.read_bytes(), None).public_key() == certificates[0].public_key()
    assert 0o600 == stat.S_IMODE(key.stat().st_mode)
    assert 2 == len(certificates)
    certificates[0].verify_directly_issued_by(certificates[1])


def test_openssl_agrees_with_the_chain(shell, www):
    """``openssl verify`` takes it."""
    chain = shell.folder / "chain.pem"
    shell("ca", "export", "issuing", "--chain", "--out", chain)

    answer = subprocess.run(
        ["openssl", "verify", "-CAfile", chain, www[1]], capture_output=True, check=False
    )

    assert 0 == answer.returncode, answer.stdout


def test_a_request_gets_its_certificate(shell):
    """The key stays where it is; ``-o pem`` prints the certificate and those above."""
    key = shell.folder / "csr.key"
    csr = shell("csr", "create", "--dns", "csr.example.test", "--key-out", key).octets

    words = ("cert", "issue", "--template", "web", "--csr", "-", "-o", "pem")
    certificates = x509.load_pem_x509_certificates(shell(*words, given=csr).octets)

    assert load_pem_private_key(key.read_bytes(), None).public_key() == certificates[0].public_key()
    assert 2 == len(certificates)


def test_every_kind_of_name_can_be_asked(shell):
    """The template decides; the options only ask."""
    outcome = shell.try_(
        *("cert", "issue", "--template", "web", "--dry-run", "-o", "json"),
        *("--dns", "a.example.test", "--ip", "192.0.2.1", "--uri", "urn:x:1"),
        *("--email", "a@example.test", "--upn", "a@example.test"),
    )
    asked = {row["asked"] for row in outcome.json["trace"]}
    assert {"dns:a.example.test", "ip:192.0.2.1"} <= asked
    assert not outcome.json["allowed"]


def test_a_pkcs12_file_holds_key_and_chain(shell):
    """Under a passphrase from a file."""
    secret, p12 = shell.file("p12-secret", "correct horse\n"), shell.folder / "new.p12"
    shell(
        *("cert", "issue", "--template", "web", "--dns", "p12.example.test"),
        *("--p12-out", p12, "--passphrase-file", secret),
    )

    found = pkcs12.load_pkcs12(p12.read_bytes(), b"correct horse")

    assert found.key.public_key() == found.cert.certificate.public_key()
    assert 2 == len(found.additional_certs)
    assert 0o600 == stat.S_IMODE(p12.stat().st_mode)


def test_the_key_file_can_be_encrypted(shell):
    """With the same passphrase."""
    secret = shell.file("key-secret", "correct horse\n")

    key, _ = issue(shell, "sealed", "--encrypt-key", "--passphrase-file", secret)

    assert load_pem_private_key(key.read_bytes(), b"correct horse")


def test_a_refused_request_leaves_no_key(shell):
    """And nothing in the database."""
    key = shell.folder / "refused.key"
    before = len(shell.json("cert", "list"))

    answer = shell.try_("cert", "issue", "--template", "web", "--dns", "bad_name", "--key-out", key)

    assert (1, False) == (answer.code, key.exists())
    assert before == len(shell.json("cert", "list"))


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--dns", "a.example.test"), 2, "--key-out or --p12-out"),
        (("--csr", "-", "--dns", "a.example.test"), 2, "from the request alone"),
        (("--dry-run",), 1, "needs a --subject or a name"),
        (("--dns", "a.test", "--ip", "300.1.1.1", "--dry-run"), 1, "--ip '300.1.1.1'"),
        (("--subject", "Acme", "--dry-run"), 1, "not a subject like"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_in_words(shell, words, code, why):
    """Before anything is signed."""
    answer = shell.try_("cert", "issue", "--template", "web", *words)

    assert (code, True) == (answer.code, why in answer.errors), answer.errors


def test_an_unknown_template_is_not_found(shell):
    """With the names that there are."""
    answer = shell.try_("cert", "issue", "--template", "wed", "--dns", "a.test", "--key-out", "x")

    assert 3 == answer.code


def test_a_key_file_is_never_overwritten(shell, www):
    """Nor is anything issued then."""
    before = len(shell.json("cert", "list"))

    answer = shell.try_(
        "cert", "issue", "--template", "web", "--dns", "a.example.test", "--key-out", www[0]
    )

    assert 7 == answer.code
    assert before == len(shell.json("cert", "list"))


def test_a_certificate_is_shown_in_words(shell, www):
    """By the serial as openssl prints it, and in PEM the very same octets."""
    serial = serial_of(www[1])

    shown = shell.json("cert", "show", serial)

    assert "serial=" + shown["serial"] == serial
    assert ("valid", "web", 1, "cli") == tuple(
        shown[key] for key in ("status", "template", "template_version", "door")
    )
    assert "digitalSignature (critical)" == shown["key_usage"]
    assert "serverAuth" == shown["extended_key_usage"]
    assert "not a CA (critical)" == shown["basic_constraints"]
    assert shell("cert", "show", serial, "-o", "pem").text in www[1].read_text()


def test_an_unknown_serial_is_not_found(shell):
    """With the serial in the message."""
    answer = shell.try_("cert", "show", "0A0B")

    assert (3, True) == (answer.code, "0A0B" in answer.errors)


def test_certificates_are_found_by_what_people_know(shell, www):
    """Name, template, authority, status, expiry, fingerprint, part of the subject."""
    serial = serial_of(www[1]).partition("=")[2]
    digest = x509.load_pem_x509_certificate(www[1].read_bytes())

    def found(*words):
        return {row["serial"] for row in shell.json("cert", "list", *words)}

    assert {serial} == found("--name", "www.example.test")
    assert {serial} == found("--fingerprint", digest.fingerprint(SHA256()).hex(":").upper())
    assert {serial} == found("--serial", serial)
    assert serial in found("--template", "web", "--status", "valid", "--expires-within", "91d")
    assert serial not in found("--expires-within", "1d")
    assert serial not in found("--expires-before", "2001-01-01")
    assert serial not in found("--authority", "root")
    assert 2 == len(found("--authority", "root", "--subject", "ROOT")) + len(
        found("--authority", "root", "--subject", "issuing")
    )


@pytest.mark.usefixtures("www")
def test_a_list_comes_in_pages(shell):
    """The hint names the id to go on with."""
    first = shell("cert", "list", "--limit", "2", "-o", "json")
    last = first.json[-1]["id"]

    assert f"--after {last}" in first.errors
    assert all(row["id"] < last for row in shell.json("cert", "list", "--after", last))
    assert "www.example.test" in shell("cert", "list", "--name", "www.example.test").text


def test_revoking_asks_and_counts_once(shell):
    """A second time is a conflict."""
    serial = serial_of(issue(shell, "gone")[1])
    refused = shell.try_("cert", "revoke", serial, given="n\n")

    words = ("cert", "revoke", serial, "--reason", "keyCompromise", "--yes")
    row = shell.json(*words, "--invalidity-date", "2026-01-01")

    assert (1, "aborted" in refused.errors) == (refused.code, True)
    assert ("revoked", "keyCompromise") == (row["status"], row["reason"])
    assert "2026-01-01T00:00:00Z" == row["invalidity_at"]
    assert 7 == shell.try_(*words).code
    last = shell.json("audit", "list", "--event", "certificate.revoked")[-1]
    assert last["actor"].startswith("cli:")


def test_a_hold_can_be_released(shell):
    """Everything else is for good."""
    serial = serial_of(issue(shell, "held")[1])

    held = shell.json("cert", "revoke", serial, "--reason", "certificate-hold", "--yes")
    released = shell.json("cert", "unhold", serial)

    assert ("on-hold", "valid") == (held["status"], released["status"])
    assert 7 == shell.try_("cert", "unhold", serial).code


def test_exports_are_what_other_programs_read(shell, www):
    """PEM, DER, the chain, PKCS#7, and PKCS#12 with the key."""
    serial, secret = serial_of(www[1]), shell.file("export-secret", "correct horse\n")
    p12 = shell.folder / "export.p12"

    def export(form, *words):
        return shell("cert", "export", serial, "--format", form, *words).octets

    own = x509.load_pem_x509_certificate(export("pem"))
    export("p12", "--key-file", www[0], "--passphrase-file", secret, "--out", p12)

    assert own == x509.load_der_x509_certificate(export("der"))
    assert 3 == len(x509.load_pem_x509_certificates(export("chain")))
    printed = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout"],
        input=export("p7b"),
        capture_output=True,
        check=True,
    )
    assert 3 == printed.stdout.count(b"subject=")
    assert own == pkcs12.load_pkcs12(p12.read_bytes(), b"correct horse").cert.certificate


def test_pkcs12_needs_its_key_and_a_file(shell, www):
    """A private key does not go to a terminal, and not with another's certificate."""
    serial, secret = serial_of(www[1]), shell.file("wrong-secret", "correct horse\n")
    other, _ = issue(shell, "other")
    words = ("cert", "export", serial, "--format", "p12")

    assert 2 == shell.try_(*words).code
    assert 2 == shell.try_(*words, "--key-file", www[0]).code
    wrong = shell.try_(
        *words, "--key-file", other, "--passphrase-file", secret, "--out", shell.folder / "no.p12"
    )
    assert (1, True) == (wrong.code, "not the certificate's" in wrong.errors)


def test_a_root_is_exported_like_any_other(shell):
    """Its chain is itself."""
    row = next(r for r in shell.json("cert", "list") if "Root" in r["subject"])

    chain = shell("cert", "export", row["serial"], "--format", "chain").octets

    assert 1 == len(x509.load_pem_x509_certificates(chain))
