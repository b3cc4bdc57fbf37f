"""Devices on the command line: found, retired, taken back; and certificates that must be new."""


def issue(shell, name, template="device"):
    key = shell.folder / f"{name}.key"
    words = ("--template", template, "--subject", f"CN={name}", "--key-out", key)
    return shell.json("cert", "issue", *words)


def test_a_device_is_found_and_shown(shell):
    """With its certificates, newest first."""
    serials = [issue(shell, "plc-1")["serial"]]

    (row,) = shell.json("device", "list", "PLC", "--state", "active", "--door", "cli")
    shown = shell.json("device", "show", "plc-1")

    assert ("plc-1", "active", ["cli"]) == (row["name"], row["state"], row["doors"])
    assert row == {name: shown[name] for name in row}
    assert serials == [one["serial"] for one in shown["certificates"]]
    assert shown == shell.json("device", "show", row["id"])
    assert serials[0] in shell("device", "show", "plc-1").text
    assert "BEGIN CERTIFICATE" in shell("device", "show", "plc-1", "-o", "pem").text
    assert [] == shell.json("device", "list", "--silent-for", "1d")
    assert "--after" in shell.try_("device", "list", "--limit", "1").errors
    assert 3 == shell.try_("device", "show", "nobody").code
    assert 3 == shell.try_("device", "show", "4711").code


def test_a_retired_device_is_taken_back_with_a_code(shell):
    """Everything it held is revoked; the code is for its name only."""
    serial = issue(shell, "plc-2")["serial"]

    assert 1 == shell.try_("device", "retire", "plc-2", given="n\n").code
    retired = shell.json("device", "retire", "plc-2", "--yes")
    key = shell.folder / "again.key"
    wish = ("--template", "device", "--subject", "CN=plc-2", "--key-out", key)
    again = shell.try_("cert", "issue", *wish)
    back = shell.json("device", "reenroll", "plc-2")

    assert ("retired", 1) == (retired["state"], retired["revoked"])
    assert "revoked" == shell.json("cert", "show", serial)["status"]
    assert 1 == again.code
    assert "the device 'plc-2' is retired" in again.errors
    assert ("active", "plc-2", "device") == (back["state"], back["common_name"], back["template"])
    assert {"user", "code"} <= back.keys()
    assert 0 == back["to_be_renewed"]
    number = shell.json("device", "retire", "plc-2", "--yes")["id"]
    assert 7 == shell.try_("device", "retire", number, "--yes").code


def test_a_device_that_enrols_again_hears_it(shell):
    """What it holds is to be renewed within the time that the operator says."""
    serial = issue(shell, "plc-3")["serial"]
    before = shell.json("cert", "renewal", serial)

    row = shell.json("device", "reenroll", "plc-3", "--within", "2h")

    after = shell.json("cert", "renewal", serial)
    assert 1 == row["to_be_renewed"]
    assert after["start"] < before["start"]
    assert "enrol again" in after["why"]
    assert before["identifier"] == after["identifier"]


def test_certificates_are_replaced_in_numbers(shell):
    """By any search; and the orders are taken back the same way."""
    serials = {issue(shell, f"many-{number}")["serial"] for number in range(2)}

    rows = shell.json("cert", "replace", "--subject", "many-", "--why", "a weak generator", "--yes")
    kept = shell.json("cert", "keep", "--subject", "many-")

    assert serials == {row["serial"] for row in rows} == {row["serial"] for row in kept}
    assert {"a weak generator"} == {row["why"] for row in rows}
    assert {None} == {row["why"] for row in kept}
    assert [] == shell.json("cert", "keep", "--subject", "many-")
    assert 2 == shell.try_("cert", "replace", "--subject", "many-", "--yes").code


def test_holding_is_not_retiring(shell):
    """A hold ends some day."""
    issue(shell, "plc-4")

    told = shell.try_("device", "retire", "plc-4", "--reason", "certificate-hold", "--yes")

    assert 2 == told.code
