"""Authorities are made, brought, changed, renewed and handed out by command."""

import subprocess

import pytest
from cryptography import x509

from pikaserver.asn1.cms import read_certificates_only
from tests.cli.shown import certificate_of


def value_of(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def test_the_authorities_are_listed(shell):
    """With what an operator wants to know at one glance."""
    found = {row["name"]: row for row in shell.json("ca", "list")}

    assert "itself" == found["root"]["issuer"]
    assert "enabled" == found["issuing"]["state"]
    assert found["root"]["subject"] == found["issuing"]["issuer"]


def test_a_root_says_what_its_options_said(shell):
    """Subject, key, hash, validity, path length and constraints."""
    shell(
        *("ca", "create", "plant", "--subject", "CN=Plant Root,O=Acme,C=CH"),
        *("--key-type", "ec-p384", "--hash", "sha512", "--validity", "5y", "--path-length", "1"),
        *("--permit", "dns:example.com", "--exclude", "ip:10.0.0.0/8", "--digital-signature"),
    )

    made = certificate_of(shell, "plant")
    constraints = value_of(made, x509.NameConstraints)
    assert "CN=Plant Root,O=Acme,C=CH" == made.subject.rfc4514_string()
    assert "secp384r1" == made.public_key().curve.name
    assert "sha512" == made.signature_hash_algorithm.name
    assert 5 * 365 == round(
        (made.not_valid_after_utc - made.not_valid_before_utc).total_seconds() / 86400
    )
    assert 1 == value_of(made, x509.BasicConstraints).path_length
    assert [x509.DNSName("example.com")] == constraints.permitted_subtrees
    assert "10.0.0.0/8" == str(constraints.excluded_subtrees[0].value)
    assert value_of(made, x509.KeyUsage).digital_signature


def test_a_subordinate_stands_below_its_issuer(shell):
    """And never outlives it."""
    shell(
        "ca",
        "create",
        "line-1",
        "--parent",
        "root",
        "--subject",
        "CN=Line 1",
        "--policy",
        "2.5.29.32.0",
    )

    made, root = certificate_of(shell, "line-1"), certificate_of(shell, "root")
    made.verify_directly_issued_by(root)
    assert made.not_valid_after_utc <= root.not_valid_after_utc
    assert (
        "2.5.29.32.0" == value_of(made, x509.CertificatePolicies)[0].policy_identifier.dotted_string
    )


def test_rsa_pss_is_a_choice(shell):
    """RSA-PSS with the hash that was asked."""
    row = shell.json(
        *(
            "ca",
            "create",
            "pss",
            "--subject",
            "CN=PSS",
            "--key-type",
            "rsa-2048",
            "--pss",
            "--hash",
            "sha384",
        )
    )

    assert ("rsa-2048", "rsa-pss-sha384") == (row["key_type"], row["algorithm"])


def test_a_key_that_is_there_is_taken(shell):
    """With its own type, whatever is the default."""
    shell("key", "generate", "software:special", "--type", "ed25519")

    row = shell.json(
        "ca", "create", "special", "--subject", "CN=Special", "--key", "software:special"
    )

    assert ("software:special", "ed25519") == (row["key"], row["key_type"])


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--subject", "CN=A", "--parent", "root", "--csr"), 2, "exclude each other"),
        (("--subject", "CN=A", "--parent", "nobody"), 3, "no authority 'nobody'"),
        (("--subject", "CN=A", "--parent", "issuing"), 1, "may have no CA below it"),
        (("--subject", "CN=A", "--parent", "root", "--path-length", "5"), 1, "path length"),
        (("--subject", "Acme"), 1, "is not a subject like"),
        (("--subject", "CN=A", "--policy", "x"), 1, "is no OID"),
        (
            ("--subject", "CN=A", "--key-type", "ed25519", "--hash", "sha256"),
            1,
            "no choice of hash",
        ),
        (("--subject", "CN=A", "--crl-every", "2w"), 1, "times without a CRL"),
        (("--subject", "CN=A", "--crl-url", "https://x/"), 2, "http:// or ldap://"),
        (("--subject", "CN=A", "--key", "tpm:1"), 3, "keys of scheme 'tpm'"),
        (("--subject", "CN=A", "--key", "one"), 5, "not a key reference"),
        (("--key", "ec-p384"), 2, "--key-type ec-p384"),
    ],
)
def test_what_cannot_be_is_refused_in_words(shell, words, code, why):
    """And leaves no authority behind."""
    answer = shell.try_("ca", "create", "broken", *words)

    assert code == answer.code
    assert why in answer.errors
    assert 3 == shell.try_("ca", "show", "broken").code


def test_a_name_is_used_once(shell):
    """The second authority of a name is a conflict."""
    answer = shell.try_("ca", "create", "root", "--subject", "CN=Second")

    assert 7 == answer.code


def test_renewal_keeps_the_key_and_rekey_does_not(shell):
    """The old certificate is still there after both."""
    shell("ca", "create", "long", "--subject", "CN=Long")
    first = certificate_of(shell, "long")

    shell("ca", "renew", "long", "--validity", "30y")
    renewed = certificate_of(shell, "long")
    shell("ca", "rekey", "long", "--key-type", "ed25519")
    rekeyed = certificate_of(shell, "long")

    assert first.public_key() == renewed.public_key() != rekeyed.public_key()
    assert renewed.not_valid_after_utc > first.not_valid_after_utc
    details = shell.json("ca", "show", "long")
    assert ("software:long-2", "2 of 2") == (details["key"], details["generation"])


def test_a_key_is_prepared_and_takes_over(shell):
    """Shown with its day; at the word --activate it is the one that issues."""
    shell("ca", "create", "ahead", "--subject", "CN=Ahead")
    first = certificate_of(shell, "ahead")

    second = x509.load_pem_x509_certificate(
        shell("ca", "rekey", "ahead", "--prepare", "--on", "2030-01-01", "-o", "pem").octets
    )
    details = shell.json("ca", "show", "ahead")
    between = certificate_of(shell, "ahead")
    again = shell.try_("ca", "rekey", "ahead")
    shell("ca", "rekey", "ahead", "--activate", "--on", "2031-01-01")
    later = shell.json("ca", "show", "ahead")
    shell("ca", "rekey", "ahead", "--activate")

    assert ("generation 2, software:ahead-2", "1 of 2") == (
        details["prepared"],
        details["generation"],
    )
    assert details["takes_over"].startswith("2030-01-01")
    assert later["takes_over"].startswith("2031-01-01")
    assert first == between != second == certificate_of(shell, "ahead")
    assert "prepared" not in shell.json("ca", "show", "ahead")
    assert "prepared already" in again.errors


@pytest.mark.parametrize(
    "words",
    [("--prepare", "--activate"), ("--on", "2030-01-01"), ("--activate", "--key-type", "ed25519")],
)
def test_words_of_rekey_that_do_not_go_together(shell, words):
    """The command line says so, and nothing happens."""
    assert 2 == shell.try_("ca", "rekey", "issuing", *words).code


def test_a_disabled_authority_issues_nothing(shell):
    """Disabling asks first; enabling makes good again."""
    assert 1 == shell.try_("ca", "disable", "issuing", given="n\n").code
    shell("ca", "disable", "issuing", "--yes")

    refused = shell.try_(
        "cert", "issue", "--template", "web", "--dns", "a.example.test", "--dry-run"
    )
    assert "is disabled" in refused.text
    shell("ca", "enable", "issuing")
    shell("cert", "issue", "--template", "web", "--dns", "a.example.test", "--dry-run")


def test_settings_change_and_go_back(shell):
    """What is not named stays; the server's own URLs come back by --default."""
    own = shell.json("ca", "show", "issuing")["crl_urls"]

    words = (
        "--crl-url",
        "http://crl.example.test/1.crl",
        "--crl-every",
        "6h",
        "--cps",
        "https://x.test/cps",
    )
    shell("ca", "set", "issuing", *words)
    changed = shell.json("ca", "set", "issuing", "--crl-validity", "3d")
    back = shell.json("ca", "set", "issuing", "--default", "crl-url", "--default", "cps")

    assert ["http://crl.example.test/1.crl"] == changed["crl_urls"]
    assert ("6h", "3d", "https://x.test/cps") == (
        changed["crl_every"],
        changed["crl_validity"],
        changed["cps_url"],
    )
    assert (own, None) == (back["crl_urls"], back["cps_url"])


def test_exports_are_what_other_programs_read(shell):
    """PEM, DER and PKCS#7, read by openssl."""
    der = shell("ca", "export", "issuing", "--format", "der").octets
    bag = shell("ca", "export", "issuing", "--chain", "--format", "p7b").octets
    pem = shell.folder / "chain.pem"
    shell("ca", "export", "issuing", "--chain", "--out", pem)

    assert der == read_certificates_only(bag)[0]
    assert 2 == pem.read_text().count("BEGIN CERTIFICATE")
    printed = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout"],
        input=bag,
        capture_output=True,
        check=True,
    )
    assert 2 == printed.stdout.count(b"subject=")
    assert 1 == shell.try_("ca", "export", "issuing", "--chain", "--format", "der").code
