"""Templates are made of starters, exported, changed, compared and tried by command."""

import tomllib

import pytest


def test_templates_are_listed_and_shown(shell):
    """With defaults spelt out; programs get the tables of the document."""
    rows = {row["name"]: row for row in shell.json("template", "list")}
    shown = shell.json("template", "show", "web")

    assert {
        "web",
        "client",
        "device",
        "code-signing",
        "smime",
        "ocsp",
        "tsa",
        "subca",
    } <= rows.keys()
    assert "issuing" == rows["web"]["authority"] == shown["authority"]
    assert "renewal.allowed" in shell("template", "show", "web").text


def test_a_starter_becomes_a_template_of_another_authority(shell):
    """Its authority and those whose certificates count are replaced; comments stay."""
    row = shell.json("template", "create", "plant-web", "--starter", "web", "--authority", "root")

    document = shell("template", "export", "plant-web").text
    assert {"name": "plant-web", "version": 1, "authority": "root"} == row
    assert "root" == tomllib.loads(document)["authority"]
    assert "#" in document
    assert (
        7 == shell.try_("template", "create", "web", "--starter", "web", "--authority", "root").code
    )
    assert (
        3 == shell.try_("template", "create", "x", "--starter", "none", "--authority", "root").code
    )
    assert (
        3 == shell.try_("template", "create", "x", "--starter", "web", "--authority", "none").code
    )
    assert "web" in {row["starter"] for row in shell.json("template", "starters")}


def test_a_changed_document_is_a_new_version(shell):
    """The old one can still be read, and the difference is told rule by rule."""
    path = shell.folder / "client.toml"
    shell("template", "export", "client", "--out", path)
    before = path.read_text()
    path.write_text(before.replace('period = "90d"', 'period = "30d"'))

    assert 2 == shell.json("template", "import", "client", path)["version"]

    assert before == shell("template", "export", "client", "-v", "1").text
    assert "30d" == shell.json("template", "show", "client")["validity"]["period"]
    assert ["validity.period: 90d -> 30d"] == [
        line
        for line in shell("template", "diff", "client", "1", "2").text.splitlines()
        if line.startswith("validity.period")
    ]
    assert "they mean the same" in shell("template", "diff", "client", "2").text
    assert [2, 1] == [row["version"] for row in shell.json("template", "versions", "client")]
    assert shell.json("template", "versions", "client")[0]["saved_by"].startswith("cli:")


def test_a_document_comes_from_standard_input(shell):
    """And a template whose authority is missing is told of."""
    document = shell("template", "export", "device").text.replace('"issuing"', '"tomorrow"')

    answer = shell("template", "import", "later", "-", given=document)

    assert "no authority 'tomorrow'" in answer.errors


def test_a_bad_document_is_refused_with_the_key(shell):
    """And makes no version."""
    document = shell("template", "export", "device").text + "\n[surprise]\nx = 1\n"

    answer = shell.try_("template", "import", "device", shell.file("bad.toml", document))

    assert (1, True) == (answer.code, "surprise" in answer.errors)
    assert 1 == len(shell.json("template", "versions", "device"))


def test_a_disabled_template_refuses(shell):
    """Disabling asks first."""
    assert 1 == shell.try_("template", "disable", "vpn", given="n\n").code
    shell("template", "disable", "vpn", "--yes")

    answer = shell.try_(
        "cert", "issue", "--template", "vpn", "--dns", "a.example.test", "--dry-run"
    )

    assert "is disabled" in answer.text
    assert "enabled" == shell.json("template", "enable", "vpn")["state"]


@pytest.fixture(scope="module")
def csr(shell):
    path = shell.folder / "test.csr"
    key = shell.folder / "test.key"
    shell("csr", "create", "--dns", "a.example.test", "--key-out", key, "--out", path)
    return path


def test_a_template_is_tried_without_a_trace_in_the_database(shell, csr):
    """Every rule is told, and the certificate that would come of it."""
    before = shell.json("audit", "verify")["records"]

    outcome = shell.json("template", "test", "web", "--csr", csr)
    text = shell("template", "test", "web", "--csr", csr).text

    assert outcome["allowed"]
    assert "dns:a.example.test" in outcome["certificate"]["subject_alternative_names"]
    assert {"door", "proof", "possession", "key"} <= {row["rule"] for row in outcome["trace"]}
    assert "It would be issued as:" in text
    assert before == shell.json("audit", "verify")["records"]


def test_a_template_is_tried_as_if_with_a_code(shell, csr):
    """No code has to be made, and none is used up."""
    words = ("--csr", csr, "--door", "est", "--proof", "code")

    outcome = shell.json("template", "test", "web", *words)

    assert outcome["allowed"]


def test_a_refusal_is_the_exit_code_of_a_try(shell, csr):
    """With the rule that refused."""
    answer = shell.try_("template", "test", "subca", "--csr", csr, "-o", "json")
    by_door = shell.try_("template", "test", "web", "--csr", csr, "--door", "moon")

    assert (1, False) == (answer.code, answer.json["allowed"])
    assert (1, True) == (by_door.code, "does not issue by moon" in by_door.text)
