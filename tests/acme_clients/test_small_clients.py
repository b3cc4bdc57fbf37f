"""Small clients: uacme, dehydrated, acmetool and acme-tiny, each with its own habits."""

import ipaddress
import shutil
import subprocess

import pytest
from cryptography import x509

from pikaserver.testing.requirements import missing, require_program
from tests.acme_clients.place import client, names_of, serial_of

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
IN_A_ROOM_OF_ITS_OWN = ("unshare", "--mount", "--map-root-user")


@pytest.fixture(scope="module")
def uacme(place):
    """Return a function that calls uacme, which trusts one fixed file and nothing else.

    So it gets a view of the disk in which that file is ours.
    """
    program = client("uacme")
    require_program("unshare", package="util-linux")
    mount = f'mount --bind "{place.root}" {BUNDLE} && exec "$@"'
    tried = subprocess.run(
        [*IN_A_ROOM_OF_ITS_OWN, "sh", "-c", mount, "sh", "true"], capture_output=True, check=False
    )
    if tried.returncode:
        missing("a private view of the disk", "allow user namespaces (unshare --mount)")

    def call(policy, *words):
        return place.run(
            *IN_A_ROOM_OF_ITS_OWN, "sh", "-c", mount, "sh", program, "-v", "-y",
            "-c", place.folder / "uacme" / policy, "-a", place.directory(policy), *words,
        )  # fmt: skip

    call.folder = place.folder / "uacme"
    call.folder.mkdir()
    return call


def test_uacme_changes_its_key_and_names_an_address(place, uacme):
    """A name and an IP address (RFC 8738); key rollover; revocation; the end of the account."""
    uacme("pre", "new", "me@example.com")
    uacme("pre", "issue", "uacme.example.com", "192.0.2.33")
    path = uacme.folder / "pre" / "uacme.example.com" / "cert.pem"
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    serial = serial_of(path)
    uacme("pre", "newkey")
    uacme("pre", "update", "other@example.com")
    uacme("pre", "revoke", path)
    uacme("pre", "deactivate")

    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    assert [ipaddress.ip_address("192.0.2.33")] == addresses
    place.server.wait_for_crl(serial)


def test_uacme_proves_names_by_files_and_in_the_dns(place, uacme):
    """http-01 for one name and dns-01 for a wildcard, as its hook decides."""
    record = {"fqdn": "_acme-challenge.$3", "value": "$5"}
    hook = place.hook(
        "uacme-hook",
        [
            'case "$1.$2" in',
            f'begin.http-01) echo -n "$5" >{place.web_root}/.well-known/acme-challenge/"$4" ;;',
            f"begin.dns-01) {place.dns_hook('present', **record)} ;;",
            f"done.dns-01|failed.dns-01) {place.dns_hook('cleanup', **record)} ;;",
            "begin.*) exit 1 ;;",
            "esac",
        ],
    )
    uacme("files", "new")
    uacme("files", "-h", hook, "issue", "www.example.com", "*.app.example.org")

    path = uacme.folder / "files" / "www.example.com" / "cert.pem"
    assert {"www.example.com", "*.app.example.org"} == names_of(path)[0]


def test_uacme_proves_an_address(place, uacme):
    """http-01 for an IP address (RFC 8738)."""
    hook = place.hook(
        "uacme-address-hook",
        [
            'case "$1.$2" in',
            f'begin.http-01) echo -n "$5" >{place.web_root}/.well-known/acme-challenge/"$4" ;;',
            "begin.*) exit 1 ;;",
            "esac",
        ],
    )
    uacme("files", "-h", hook, "issue", "127.0.0.1")

    path = uacme.folder / "files" / "127.0.0.1" / "cert.pem"
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert ["127.0.0.1"] == [
        str(one) for one in extension.value.get_values_for_type(x509.IPAddress)
    ]


def test_uacme_brings_an_external_account(place, uacme):
    """EAB by kid and key."""
    uacme("bound", "-e", ":".join(place.eab()), "new")
    uacme("bound", "issue", "bound.example.com")

    path = uacme.folder / "bound" / "bound.example.com" / "cert.pem"
    assert {"bound.example.com"} == names_of(path)[0]


@pytest.fixture(scope="module")
def dehydrated(place):
    """Return a function that calls dehydrated under a policy."""
    program = client("dehydrated")

    def call(policy, *words, **settings):
        folder = place.folder / "dehydrated" / policy
        folder.mkdir(parents=True, exist_ok=True)
        known = {
            "CA": place.directory(policy),
            "BASEDIR": folder,
            "WELLKNOWN": place.web_root / ".well-known" / "acme-challenge",
            "CONTACT_EMAIL": "me@example.com",
            **settings,
        }
        config = folder / "config"
        config.write_text("".join(f"{name}='{value}'\n" for name, value in known.items()))
        return place.run(
            program, "--config", config, "--accept-terms", *words, CURL_CA_BUNDLE=place.root
        )

    call.folder = place.folder / "dehydrated"
    return call


def test_dehydrated_proves_renews_and_revokes(place, dehydrated):
    """http-01 by files for several names, again by force, then revoked."""
    names = "www.example.com mail.example.com"
    path = dehydrated.folder / "files" / "certs" / "www.example.com" / "cert.pem"

    dehydrated("files", "--register")
    dehydrated("files", "--cron", "--domain", names)
    first = serial_of(path)
    dehydrated("files", "--cron", "--force", "--domain", names)
    second = serial_of(path)
    dehydrated("files", "--revoke", path.resolve())

    assert first != second
    place.server.wait_for_crl(second)


def test_dehydrated_proves_a_wildcard_in_the_dns(place, dehydrated):
    """dns-01 by its hook."""
    record = {"fqdn": "_acme-challenge.$2", "value": "$4"}
    hook = place.hook(
        "dehydrated-hook",
        [
            'case "$1" in',
            f"deploy_challenge) {place.dns_hook('present', **record)} ;;",
            f"clean_challenge) {place.dns_hook('cleanup', **record)} ;;",
            "esac",
        ],
    )
    dehydrated("open", "--register")
    dehydrated(
        "open", "--cron", "--domain", "*.example.com", "--alias", "star",
        CHALLENGETYPE="dns-01", HOOK=hook,
    )  # fmt: skip

    path = dehydrated.folder / "open" / "certs" / "star" / "fullchain.pem"
    assert ({"*.example.com"}, 2) == names_of(path)


def test_dehydrated_brings_an_external_account(place, dehydrated):
    """EAB by its configuration; then the account is given up."""
    kid, hmac = place.eab()

    dehydrated("bound", "--register", EAB_KID=kid, EAB_HMAC_KEY=hmac)
    dehydrated("bound", "--cron", "--domain", "d.example.com", EAB_KID=kid, EAB_HMAC_KEY=hmac)
    dehydrated("bound", "--account", EAB_KID=kid, EAB_HMAC_KEY=hmac)

    path = dehydrated.folder / "bound" / "certs" / "d.example.com" / "cert.pem"
    assert {"d.example.com"} == names_of(path)[0]


RESPONSES = """\
"acme-enter-email": "me@example.com"
"acme-agreement:": true
"acmetool-quickstart-complete": true
"""
TARGET = """\
request:
  provider: {url}
  challenge:
    webroot-paths: [{web_root}]
    http-self-test: false
"""


def test_acmetool_proves_and_renews(place):
    """By files; its state is a tree of symbolic links.

    Version 0.2.2 only notes a revocation that somebody asked for, and never sends it.
    """
    program = client("acmetool")
    state = place.folder / "acmetool"
    (state / "conf").mkdir(parents=True)
    (state / "conf" / "responses").write_text(RESPONSES)
    web_root = place.web_root / ".well-known" / "acme-challenge"
    (state / "conf" / "target").write_text(
        TARGET.format(url=place.directory("files"), web_root=web_root)
    )

    def acmetool(*words):
        return place.run(
            program, "--state", state, "--hooks", state / "hooks", "--batch",
            "--response-file", state / "conf" / "responses", *words, SSL_CERT_FILE=place.root,
        )  # fmt: skip

    acmetool("want", "www.example.com", "app.example.org")
    path = state / "live" / "www.example.com" / "fullchain"
    first = serial_of(path)
    shutil.rmtree(path.resolve().parent)
    acmetool("reconcile")

    assert first != serial_of(path)
    assert ({"www.example.com", "app.example.org"}, 2) == names_of(path)


@pytest.mark.parametrize("policy", ["files", "pre"])
def test_acme_tiny_signs_a_csr(place, policy):
    """From a CSR and an account key that openssl made; with a proof, and without."""
    program = client("acme-tiny")
    openssl = require_program("openssl", package="openssl")
    folder = place.folder / f"acme-tiny-{policy}"
    folder.mkdir()
    place.run(openssl, "genrsa", "-out", folder / "account.key", "2048")
    place.run(
        openssl, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
        "-keyout", folder / "www.key", "-subj", "/CN=www.example.com", "-out", folder / "www.csr",
        "-addext", "subjectAltName=DNS:www.example.com,DNS:mail.example.com",
    )  # fmt: skip

    done = place.run(
        program, "--account-key", folder / "account.key", "--csr", folder / "www.csr",
        "--acme-dir", place.web_root / ".well-known" / "acme-challenge", "--disable-check",
        "--directory-url", place.directory(policy), SSL_CERT_FILE=place.root,
    )  # fmt: skip

    (folder / "chain.pem").write_text(done.stdout)
    assert ({"www.example.com", "mail.example.com"}, 2) == names_of(folder / "chain.pem")
