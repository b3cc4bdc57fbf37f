"""Pairs by one command for requests that were made elsewhere, and after an approval."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1.der import write_pem
from pikaserver.asn1.related_certificates import related_hash
from tests.road.pair_ground import first_der, second_der


@pytest.fixture(scope="module")
def requests(shell):
    """Return the files of two requests of one holder; templates are made for them."""
    shell("template", "set", "device", 'related.mode="allowed"')
    shell("template", "set", "device", 'related.pair="device"')
    paths = [shell.folder / f"at-once-{number}.csr" for number in (1, 2)]
    for path, octets in zip(paths, (first_der(), second_der()), strict=True):
        path.write_bytes(write_pem("CERTIFICATE REQUEST", octets))
    return paths


def issue(shell, requests, *options):
    return shell.try_(
        *("cert", "issue", "--template", "device", "--csr", requests[0]),
        *("--pair-csr", requests[1], *options),
    )


def are_bound(first, second):
    one, other = (x509.load_pem_x509_certificates(path.read_bytes())[0] for path in (first, second))
    return related_hash(other).fits(one.public_bytes(Encoding.DER))


def test_two_requests_are_answered_by_the_template_that_the_first_names(shell, requests):
    """The same command again writes the same two certificates."""
    files = [shell.folder / f"at-once-{number}.pem" for number in (1, 2)]
    once = issue(shell, requests, "--out", files[0], "--pair-out", files[1], "-o", "json")
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()

    again = issue(shell, requests, "--out", files[0], "--pair-out", files[1], "-o", "json")

    assert (0, 0) == (once.code, again.code), once.errors + again.errors
    assert are_bound(*files)
    assert before == [path.read_bytes() for path in files]


def test_a_pair_that_waits_is_issued_by_the_yes(shell, requests):
    """One request of the list, one approval, two certificates."""
    shell("template", "set", "device", "approval=true")
    for path, octets in zip(requests, (first_der("plc-22"), second_der("plc-22")), strict=True):
        path.write_bytes(octets)
    waiting = issue(shell, requests, "-o", "json")
    (row,) = shell.json("request", "list")
    shown = shell.json("request", "show", str(row["id"]))

    rows = shell.json("request", "approve", str(row["id"]))

    assert 8 == waiting.code
    assert ("ec-p256", "ml-dsa-65") == (shown["key_type"], shown["second_key_type"])
    assert ("device", "device") == (shown["template"], shown["second_template"])
    assert ["CN=plc-22"] * 2 == [one["subject"] for one in rows]
    assert [] == shell.json("request", "list")


@pytest.mark.usefixtures("requests")
def test_a_dry_run_asks_both_templates(shell):
    """Nothing is issued; what would be refused is said."""
    folder = shell.folder
    for pair, allowed in (("device", True), ("web", False)):
        answer = shell.try_(
            *("cert", "issue", "--template", "device", "--subject", "CN=dry", "--dry-run"),
            *("--key-out", folder / "dry.key", "--pair-key-out", folder / "dry-pq.key"),
            *("--pair", pair, "-o", "json"),
        )
        assert (0 if allowed else 1) == answer.code
        assert ("binds no certificates" in answer.text) is not allowed
    assert [] == shell.json("cert", "list", "--subject", "CN=dry")


def test_options_of_a_pair_go_together(shell, requests):
    """A request made elsewhere has no key here, and a key made here no request elsewhere."""
    folder = shell.folder
    for options in (
        ("--csr", requests[0], "--pair", "device"),
        ("--csr", requests[0], "--pair-key-out", folder / "x.key"),
        ("--dns", "x.test", "--key-out", folder / "x.key", "--pair-csr", requests[1]),
    ):
        assert 2 == shell.try_("cert", "issue", "--template", "device", *options).code
