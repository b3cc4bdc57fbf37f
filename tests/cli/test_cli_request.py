"""Requests wait, are shown, approved with their certificate, or declined with a reason."""

import pytest
from cryptography import x509


@pytest.fixture(scope="module")
def template(shell):
    document = shell("template", "export", "web").text
    approved = document.replace("approval = false", "approval = true")
    assert approved != document
    shell("template", "import", "approved", "-", given=approved)
    return "approved"


@pytest.fixture
def waiting(shell, template, tmp_path):
    """A request that waits, as JSON, with its key file."""
    key = tmp_path / "waiting.key"
    words = ("cert", "issue", "--template", template, "--dns", "wait.example.test")
    answer = shell.try_(*words, "--key-out", key, "-o", "json")
    assert 8 == answer.code
    assert key.exists()
    return answer.json["request"]


def test_a_request_that_waits_has_its_own_exit_code(shell, template, tmp_path):
    """And tells what to type; a key that would be lost is refused."""
    words = ("cert", "issue", "--template", template, "--dns", "b.example.test")

    answer = shell.try_(*words, "--key-out", tmp_path / "b.key")
    secret = shell.file("secret", "correct horse\n")
    lost = shell.try_(*words, "--p12-out", tmp_path / "b.p12", "--passphrase-file", secret)

    assert (8, True) == (answer.code, "pikaserver request approve" in answer.text)
    assert (1, True) == (lost.code, "keep the key" in lost.errors)


def test_a_request_is_shown_with_its_trace(shell, waiting):
    """What was asked, by whom, and what the rules said."""
    shown = shell.json("request", "show", waiting)

    assert ("pending", "approved", "cli") == tuple(shown[k] for k in ("state", "template", "door"))
    assert "made with the key in it" in shown["signature"]
    assert any(row["rule"].startswith("names.dns") for row in shown["trace"])
    assert "wait.example.test" in shell("request", "show", waiting).text
    pem = shell("request", "show", waiting, "-o", "pem").octets
    assert x509.load_pem_x509_csr(pem).is_signature_valid
    assert waiting in {row["id"] for row in shell.json("request", "list")}


def test_approving_issues_at_once(shell, waiting):
    """And nobody decides twice."""
    row = shell.json("request", "approve", waiting, "--comment", "seen the device")

    assert ("issued", "valid") == (row["state"], row["status"])
    shown = shell.json("request", "show", waiting)
    assert (row["serial"], "seen the device") == (shown["certificate"], shown["comment"])
    assert shown["decided_by"].startswith("cli:")
    assert 7 == shell.try_("request", "approve", waiting).code
    assert 7 == shell.try_("request", "decline", waiting, "--comment", "late").code


def test_declining_needs_a_reason(shell, waiting):
    """The requester reads it."""
    assert 2 == shell.try_("request", "decline", waiting).code

    shell("request", "decline", waiting, "--comment", "unknown device")

    assert waiting not in {row["id"] for row in shell.json("request", "list")}
    declined = {row["id"]: row for row in shell.json("request", "list", "--state", "declined")}
    assert "declined" == declined[waiting]["state"]
    assert waiting in {row["id"] for row in shell.json("request", "list", "--state", "all")}


def test_a_yes_without_a_certificate_can_be_repeated(shell, waiting):
    """When the authority could not sign, the same command issues later."""
    shell("ca", "disable", "issuing", "--yes")
    first = shell.try_("request", "approve", waiting)
    shell("ca", "enable", "issuing")

    second = shell.json("request", "approve", waiting)

    assert 0 != first.code
    assert "issued" == second["state"]


def test_an_unknown_request_is_not_found(shell):
    """By any verb."""
    for verb in ("show", "approve"):
        assert 3 == shell.try_("request", verb, "4711").code
