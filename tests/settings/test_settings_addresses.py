"""Where a server is reached, as its settings say."""

import pytest

from pikaserver.settings.addresses import base_url, is_loopback, local_urls, ports
from pikaserver.settings.model import HostSettings


def host(bind, hostname="pki.example.org", **server):
    """Return settings with one listener over TLS and a plain one."""
    return HostSettings.model_validate(
        {
            "server": {"hostname": hostname, **server},
            "listeners": {
                "devices": {"bind": bind, "serve": ["acme"], "tls": {"certificate": "auto"}},
                "public": {"bind": "127.0.0.1:8080", "serve": ["crl"]},
            },
        }
    )


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        ("127.0.0.1:8443", ["https://localhost:8443", "https://127.0.0.1:8443"]),
        ("[::1]:8443", ["https://localhost:8443", "https://[::1]:8443"]),
        ("0.0.0.0:8443", []),
        ("192.0.2.7:8443", []),
    ],
)
def test_programs_on_this_machine_need_no_name_of_it(bind, found):
    """Names below ``.localhost`` are known to browsers and curl, and to few other programs."""
    assert found == local_urls(host(bind), "acme")


def test_what_is_plain_or_elsewhere_has_no_local_address():
    """The certificate has the names; without TLS there is none."""
    assert [] == local_urls(host("127.0.0.1:8443"), "crl")
    assert [] == local_urls(host("127.0.0.1:8443"), "est")


def test_clients_elsewhere_use_the_name_or_what_was_set():
    """The usual port stays out."""
    assert "https://pki.example.org:8443" == base_url(host("0.0.0.0:8443"), "acme")
    assert "https://pki.example.org" == base_url(host("0.0.0.0:443"), "acme")
    assert "https://[::1]:8443" == base_url(host("[::1]:8443", None), "acme")
    named = {"base_urls": {"acme": "https://acme.example.org"}}
    assert "https://acme.example.org" == base_url(host("0.0.0.0:443", **named), "acme")
    assert base_url(host("0.0.0.0:443"), "est") is None


def test_ports_are_those_of_listeners():
    """Validation of other people's names never goes there."""
    assert {8443, 8080} == ports(host("127.0.0.1:8443"))


@pytest.mark.parametrize("address", ["localhost", "", "10.0.0.1", "::"])
def test_a_name_or_another_address_is_no_loopback(address):
    """Who knows where a name leads."""
    assert not is_loopback(address)
