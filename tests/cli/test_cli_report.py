"""Reports by command."""

import json

import pytest


@pytest.fixture(scope="module")
def issued(shell):
    out = shell.folder / "reported.pem"
    shell(
        *("cert", "issue", "--template", "device", "--subject", "CN=plc-5", "--out", out),
        *("--key-out", shell.folder / "reported.key"),
    )


@pytest.mark.usefixtures("issued")
def test_a_report_tells_kinds_and_single_keys(shell):
    """Together by default, each with ``--each``."""
    lines = shell.json("report", "quantum")
    each = shell.json("report", "quantum", "--each", "--horizon", "2200-01-01")

    assert {"authority", "certificate"} <= {line["kind"] for line in lines}
    assert all(line["exposure"] == "key" for line in lines)
    (device,) = (one for one in each if one["label"] == "CN=plc-5")
    assert ("ec-p256", "ecdsa-sha256", False) == (
        device["key_type"],
        device["signed_with"],
        device["beyond"],
    )
    assert "est" in device["renewal"]
    assert "Exposed: " in shell("report", "quantum").errors


@pytest.mark.usefixtures("issued")
def test_a_cbom_is_written(shell):
    """To a file, with the certificates of others or without."""
    out = shell.folder / "cbom.json"
    shell("report", "cbom", "--out", out)
    whole = json.loads(out.read_bytes())
    brief = json.loads(shell("report", "cbom", "--no-certificates").octets)

    assert ("CycloneDX", "1.6") == (whole["bomFormat"], whole["specVersion"])
    names = {one["name"] for one in whole["components"]}
    assert "CN=plc-5" in names
    assert names - {one["name"] for one in brief["components"]} >= {"CN=plc-5"}
