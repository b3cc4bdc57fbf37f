"""Enrolment codes are handed out once, listed without their secrets, and withdrawn."""


def test_a_code_is_shown_once(shell):
    """Scripts read ``user`` and ``code``."""
    made = shell.json("code", "create", "--template", "device")

    assert {"user", "code", "template", "uses"} <= made.keys()
    listed = shell("code", "list").text
    assert made["user"] in listed
    assert made["code"] not in listed
    assert made["code"] not in shell("audit", "export").text


def test_a_code_says_what_it_is_good_for(shell):
    """Uses, lifetime, user and common name as asked."""
    words = ("--uses", "3", "--lifetime", "2h", "--user", "plc-21", "--common-name", "PLC 21")
    shell("code", "create", "--template", "device", *words)

    row = next(r for r in shell.json("code", "list") if r["user"] == "plc-21")

    assert (3, "PLC 21", "usable") == (row["uses_left"], row["common_name"], row["state"])
    assert row["created_by"].startswith("cli:")
    assert 7 == shell.try_("code", "create", "--template", "device", "--user", "plc-21").code


def test_what_cannot_be_is_refused(shell):
    """No template, or no use."""
    assert 3 == shell.try_("code", "create", "--template", "none").code
    assert 2 == shell.try_("code", "create", "--template", "device", "--uses", "0").code
    assert 1 == shell.try_("code", "create", "--template", "subca").code


def test_a_withdrawn_code_is_worthless(shell):
    """Withdrawing asks first."""
    user = shell.json("code", "create", "--template", "device")["user"]

    assert 1 == shell.try_("code", "withdraw", user, given="n\n").code
    shell("code", "withdraw", user, "--yes")

    assert "used up" == next(r for r in shell.json("code", "list") if r["user"] == user)["state"]
    assert 3 == shell.try_("code", "withdraw", user, "--yes").code
