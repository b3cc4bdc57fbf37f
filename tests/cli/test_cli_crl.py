"""CRLs are signed, listed, shown and exported by command."""

from cryptography import x509


def test_crls_are_issued_when_due_and_on_demand(fresh_shell):
    """The first ones are due; then nothing is, until somebody asks by name."""
    shell = fresh_shell
    assert [] == shell.json("crl", "list")
    assert 3 == shell.try_("crl", "show", "issuing").code

    due = {row["authority"] for row in shell.json("crl", "issue")}
    again = shell("crl", "issue", "-o", "json")
    forced = shell.json("crl", "issue", "issuing")

    assert {"root", "issuing"} == due
    assert ([], True) == (again.json, "no CRL is due" in again.errors)
    assert [2] == [row["number"] for row in forced]
    assert {"fresh"} == {row["state"] for row in shell.json("crl", "list")}
    assert 3 == shell.try_("crl", "issue", "nobody").code


def test_a_crl_lists_what_was_revoked(fresh_shell):
    """In words, in JSON, in PEM and in DER."""
    shell = fresh_shell
    key = shell.folder / "x.key"
    row = shell.json(
        "cert", "issue", "--template", "web", "--dns", "x.example.test", "--key-out", key
    )
    shell("cert", "revoke", row["serial"], "--reason", "superseded", "--yes")
    shell("crl", "issue", "issuing")

    shown = shell.json("crl", "show", "issuing")

    assert [(row["serial"], "superseded")] == [
        (one["serial"], one["reason"]) for one in shown["revoked"]
    ]
    assert row["serial"] in shell("crl", "show", "issuing").text
    pem = x509.load_pem_x509_crl(shell("crl", "export", "issuing").octets)
    der = x509.load_der_x509_crl(shell("crl", "export", "issuing", "--format", "der").octets)
    assert pem == der == x509.load_pem_x509_crl(shell("crl", "show", "issuing", "-o", "pem").octets)
    assert int(row["serial"], 16) == pem[0].serial_number
