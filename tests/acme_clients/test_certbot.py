"""Certbot: every way in which it asks."""

import importlib.util
import sys

import pytest

from pikaserver.testing.requirements import missing
from tests.acme_clients.place import client, names_of, serial_of


@pytest.fixture(scope="module")
def certbot(place):
    """Return a function that calls certbot with a configuration of its own."""
    program = client("certbot")
    folder = place.folder / "certbot"

    def call(*words, check=True):
        own = (f"--{name}-dir={folder / name}" for name in ("config", "work", "logs"))
        return place.run(program, *words, *own, "-n", check=check, REQUESTS_CA_BUNDLE=place.root)

    call.live = folder / "config" / "live"
    return call


def account(place, policy):
    return (
        "--server", place.directory(policy), "--register-unsafely-without-email", "--agree-tos",
    )  # fmt: skip


def test_names_that_are_approved_need_no_proof(place, certbot):
    """Several names and a wildcard at once; renewed, then revoked and seen on the CRL."""
    names = ("pre.example.com", "*.pre.example.com", "other.example.org")
    wanted = [word for name in names for word in ("-d", name)]

    certbot("certonly", "--standalone", *account(place, "pre"), *wanted, "--cert-name", "pre")
    first = serial_of(certbot.live / "pre" / "cert.pem")
    certbot("renew", "--cert-name", "pre", "--force-renewal", "--no-random-sleep-on-renew")
    path = certbot.live / "pre" / "cert.pem"
    second = serial_of(path)
    certbot("revoke", "--cert-path", path, "--no-delete-after-revoke", "--reason", "superseded",
            "--server", place.directory("pre"))  # fmt: skip

    assert (set(names), 2) == names_of(certbot.live / "pre" / "fullchain.pem")
    assert first != second
    place.server.wait_for_crl(second)


def test_it_proves_a_name_by_http(place, certbot):
    """http-01 on a port of the policy; then revoked with the certificate's key."""
    certbot(
        "certonly", "--standalone", "--http-01-port", place.http_port, *account(place, "open"),
        "-d", "www.example.com", "-d", "mail.example.com", "--cert-name", "http",
    )  # fmt: skip
    live = certbot.live / "http"

    assert {"www.example.com", "mail.example.com"} == names_of(live / "fullchain.pem")[0]
    serial = serial_of(live / "cert.pem")
    certbot("revoke", "--cert-path", live / "cert.pem", "--key-path", live / "privkey.pem",
            "--no-delete-after-revoke", "--server", place.directory("open"))  # fmt: skip
    place.server.wait_for_crl(serial)


def test_it_proves_a_wildcard_in_the_dns(place, certbot):
    """dns-01 by its manual hooks, for a name and the wildcard below it."""
    record = {"fqdn": "_acme-challenge.$CERTBOT_DOMAIN", "value": "$CERTBOT_VALIDATION"}
    add = place.hook("certbot-add", [place.dns_hook("present", **record)])
    remove = place.hook("certbot-remove", [place.dns_hook("cleanup", **record)])

    certbot(
        "certonly", "--manual", "--preferred-challenges", "dns", "--manual-auth-hook", add,
        "--manual-cleanup-hook", remove, *account(place, "open"),
        "-d", "example.com", "-d", "*.example.com", "--cert-name", "dns",
    )  # fmt: skip

    found = names_of(certbot.live / "dns" / "fullchain.pem")[0]
    assert {"example.com", "*.example.com"} == found


def test_it_brings_an_external_account(place, certbot):
    """Without one it is told what is missing; with one it gets in, and leaves again."""
    refused = certbot("register", *account(place, "bound"), check=False)
    kid, hmac = place.eab()

    certbot("register", *account(place, "bound"), "--eab-kid", kid, "--eab-hmac-key", hmac)
    certbot("certonly", "--standalone", *account(place, "bound"), "-d", "eab.example.com")
    certbot("unregister", "--server", place.directory("bound"))

    assert 0 != refused.returncode
    assert "xternal account" in refused.stderr + refused.stdout
    assert {"eab.example.com"} == names_of(certbot.live / "eab.example.com" / "fullchain.pem")[0]


PATIENCE = 5
"""Runs of certbot, each longer than a fifth of the second in which the window opens."""
OF_TODAY = (sys.executable, "-c", "import sys; from certbot.main import main; sys.exit(main())")


def test_it_renews_when_it_is_told_to(place):
    """Renewal information (RFC 9773), which systems' certbot of before 4.1 does not ask for.

    Not before its time; then the certificate must be replaced, and it is.
    """
    if importlib.util.find_spec("certbot") is None:
        missing("certbot 4.1 or newer", "pip install certbot")
    folder = place.folder / "certbot-of-today"

    def certbot(*words):
        own = (f"--{name}-dir={folder / name}" for name in ("config", "work", "logs"))
        return place.run(*OF_TODAY, *words, *own, "-n", REQUESTS_CA_BUNDLE=place.root).stdout

    path = folder / "config" / "live" / "told.example.com" / "cert.pem"
    certbot("certonly", "--standalone", *account(place, "pre"), "-d", "told.example.com")
    first = serial_of(path)

    assert "not due for renewal yet" in certbot("renew", "--no-random-sleep-on-renew")
    place.server.command(
        "cert", "replace", "--name", "told.example.com", "--within", "1s", "--why", "test", "--yes"
    )
    _ask_anew(folder / "config" / "renewal" / "told.example.com.conf")
    for _ in range(PATIENCE):
        certbot("renew", "--no-random-sleep-on-renew")
        if serial_of(path) != first:
            break
        _ask_anew(folder / "config" / "renewal" / "told.example.com.conf")

    assert serial_of(path) != first


def _ask_anew(conf):
    """Let certbot forget when it wanted to ask again: hours pass."""
    lines = conf.read_text().splitlines(keepends=True)
    conf.write_text("".join(one for one in lines if not one.startswith("ari_retry_after")))
