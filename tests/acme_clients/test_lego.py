"""Lego: every challenge, external accounts, renewal, revocation."""

import pytest

from tests.acme_clients.place import client, names_of, serial_of


@pytest.fixture(scope="module")
def lego(place):
    """Return a function that calls lego for some names under a policy."""
    program = client("lego")

    def call(policy, names, *words, deed=("run",), check=True, **environment):
        wanted = [word for name in names for word in ("--domains", name)]
        return place.run(
            program, "--server", place.directory(policy), "--email", "me@example.com",
            "--accept-tos", "--path", place.folder / "lego" / policy, *wanted, *words, *deed,
            check=check, LEGO_CA_CERTIFICATES=place.root, **environment,
        )  # fmt: skip

    call.certificates = lambda policy: place.folder / "lego" / policy / "certificates"
    return call


def test_it_proves_names_by_http_and_renews(place, lego):
    """Several names; renewed with another key, then revoked."""
    names = ("app.example.org", "www.example.com")
    how = ("--http", "--http.port", f"127.0.0.1:{place.http_port}")
    path = lego.certificates("open") / "app.example.org.crt"

    lego("open", names, *how)
    first = serial_of(path)
    lego("open", names, *how, deed=("renew", "--days", "400", "--no-random-sleep"))
    second = serial_of(path)
    lego("open", names[:1], deed=("revoke", "--keep"))

    assert (set(names), 2) == names_of(path)
    assert first != second
    place.server.wait_for_crl(second)


def test_it_proves_a_name_by_tls(place, lego):
    """tls-alpn-01 (RFC 8737) on a port of the policy."""
    lego("open", ["mail.example.com"], "--tls", "--tls.port", f"127.0.0.1:{place.tls_port}")

    path = lego.certificates("open") / "mail.example.com.crt"
    assert {"mail.example.com"} == names_of(path)[0]


def test_it_proves_a_wildcard_in_the_dns(place, lego):
    """dns-01 by its provider httpreq, against our DNS server."""
    lego(
        "open", ["*.app.example.org"], "--dns", "httpreq", "--dns.disable-cp",
        "--dns.resolvers", place.dns.address, HTTPREQ_ENDPOINT=place.hooks,
    )  # fmt: skip

    path = lego.certificates("open") / "_.app.example.org.crt"
    assert {"*.app.example.org"} == names_of(path)[0]


def test_it_brings_an_external_account(place, lego):
    """Bound to a registration that is good once."""
    kid, hmac = place.eab()

    lego("bound", ["lego.example.com"], "--http", "--eab", "--kid", kid, "--hmac", hmac)

    path = lego.certificates("bound") / "lego.example.com.crt"
    assert {"lego.example.com"} == names_of(path)[0]


def test_an_address_that_it_calls_a_name_is_refused_clearly(lego):
    """Lego 4 sends IP addresses as type dns; the problem says what to do."""
    refused = lego("pre", ["192.0.2.7"], "--http", check=False)

    assert 0 != refused.returncode
    assert "ask for an address by the type ip" in refused.stderr + refused.stdout
