"""What a proxy says of the caller: pure, then on a real listener."""

import base64
from contextlib import suppress
from ipaddress import ip_network
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.web import ClientConnection
from pikaserver.web.forwarded import ProxyRules, caller
from pikaserver.web.strict import RequestRefused

PROXY = ClientConnection("test", "10.0.0.1", None)
RULES = ProxyRules((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


def address_of(**headers):
    """Return the caller's address as the proxy tells it."""
    return caller(PROXY, dict(headers), RULES, is_proxy=True).connection.address


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "10.0.0.1"),
        ({"X_FORWARDED_FOR": "192.0.2.7"}, "192.0.2.7"),
        ({"X_FORWARDED_FOR": "192.0.2.7:4711"}, "192.0.2.7"),
        ({"X_FORWARDED_FOR": "1.2.3.4, 192.0.2.7, 10.0.0.9"}, "192.0.2.7"),
        ({"X_FORWARDED_FOR": "10.0.0.8, 10.0.0.9"}, "10.0.0.8"),
        ({"X_FORWARDED_FOR": "2001:db8::1"}, "2001:db8::1"),
        ({"X_FORWARDED_FOR": "[2001:db8::1]:443"}, "2001:db8::1"),
        ({"X_FORWARDED_FOR": "::ffff:192.0.2.7"}, "192.0.2.7"),
        ({"FORWARDED": "for=192.0.2.7"}, "192.0.2.7"),
        ({"FORWARDED": 'For="[2001:db8::1]:4711";proto=https;by=10.0.0.1'}, "2001:db8::1"),
        ({"FORWARDED": "for=1.2.3.4, for=192.0.2.7;proto=https , for=10.0.0.9"}, "192.0.2.7"),
        ({"FORWARDED": "for=192.0.2.7", "X_FORWARDED_FOR": "192.0.2.7"}, "192.0.2.7"),
    ],
)
def test_the_nearest_hop_that_is_no_proxy_is_the_caller(headers, address):
    """What stands further left is what the client wrote."""
    assert address == address_of(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_FORWARDED_FOR": "unknown"},
        {"X_FORWARDED_FOR": "192.0.2.7,"},
        {"X_FORWARDED_FOR": "192.0.2"},
        {"X_FORWARDED_FOR": "192.0.2.7 192.0.2.8"},
        {"FORWARDED": "for=_hidden"},
        {"FORWARDED": "proto=https"},
        {"FORWARDED": "for=192.0.2.7;"},
        {"FORWARDED": "for=192.0.2.7;for=192.0.2.8"},
        {"FORWARDED": 'for="192.0.2.7'},
        {"FORWARDED": "for=192.0.2.7", "X_FORWARDED_FOR": "192.0.2.8"},
        {"X_FORWARDED_PROTO": "https, http"},
        {"X_FORWARDED_PROTO": "gopher"},
        {"FORWARDED": "for=192.0.2.7;proto=http", "X_FORWARDED_PROTO": "https"},
    ],
)
def test_headers_that_are_doubled_or_unreadable_are_refused(headers):
    """A proxy that passes on what clients wrote must not go unnoticed."""
    with pytest.raises(RequestRefused):
        address_of(**headers)


@given(st.text(max_size=60), st.sampled_from(["X_FORWARDED_FOR", "FORWARDED", "CLIENT_CERT"]))
def test_no_header_raises_anything_but_a_refusal(text, name):
    """Whatever a proxy passes on."""
    rules = ProxyRules(RULES.networks, "Client-Cert")
    headers = {name: text.encode("utf-8", "replace").decode("latin-1")}
    with suppress(RequestRefused):
        caller(PROXY, headers, rules, is_proxy=True)

    assert headers == {}


def test_the_scheme_decides_whether_the_line_was_protected():
    """``http`` at the proxy is a plain line, with no certificate whatever a header says."""
    plain = caller(PROXY, {"X_FORWARDED_PROTO": "http"}, RULES, is_proxy=True)
    silent = caller(PROXY, {}, RULES, is_proxy=True)

    assert ("http", None) == (plain.scheme, plain.connection.tls)
    assert silent.scheme == "https"
    assert silent.connection.tls is not None


def test_the_headers_of_proxies_are_taken_from_everybody():
    """The application sees none of them, believed or not."""
    headers = {"CLIENT_CERT": "x", "X_FORWARDED_FOR": "x", "X_SSL_CERT": "x", "ACCEPT": "y"}
    rules = ProxyRules((), "X-SSL-Cert")

    found = caller(ClientConnection("test", "192.0.2.1", None), headers, rules, is_proxy=False)

    assert headers == {"ACCEPT": "y"}
    assert ("192.0.2.1", None) == (found.connection.address, found.connection.tls)


GET = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


@pytest.mark.parametrize("header", ["Client-Cert", "X-SSL-Client-Cert"])
def test_a_named_proxy_hands_over_the_clients_certificate(house, authority, header):
    """RFC 9440, or nginx' escaped PEM under another name."""
    running = house.start(
        trusted_proxies=(ip_network("127.0.0.1/32"),), proxy_certificate_header=header
    )
    pem = authority.file.read_text()
    sent = (
        f":{base64.b64encode(authority.der).decode()}:" if header == "Client-Cert" else quote(pem)
    )

    answer = running.send(GET + f"{header}: {sent}\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200 ")
    connection = running.door.connection
    assert ("192.0.2.7", authority.der) == (connection.address, connection.tls.certificate)
    assert running.door.env["REMOTE_ADDR"] == "192.0.2.7"
    assert running.door.env["wsgi.url_scheme"] == "https"
    assert not [name for name in running.door.env if "CERT" in name or "FORWARDED" in name]


@pytest.mark.parametrize("value", ["x", ":eA==:", "::", ":AAAA:, :AAAA:"])
def test_a_certificate_that_cannot_be_read_is_refused(house, value):
    """400 rather than a caller without a certificate."""
    running = house.start(
        trusted_proxies=(ip_network("127.0.0.1/32"),), proxy_certificate_header="Client-Cert"
    )

    answer = running.send(GET + f"Client-Cert: {value}\r\n\r\n".encode())

    assert b" 400 " in answer.splitlines()[0]
    assert [] == running.door.requests


def test_two_certificates_are_refused(house, authority):
    """A client's header beside the proxy's own."""
    running = house.start(
        trusted_proxies=(ip_network("127.0.0.1/32"),), proxy_certificate_header="Client-Cert"
    )
    header = f"Client-Cert: :{base64.b64encode(authority.der).decode()}:\r\n".encode()

    answer = running.send(GET + header + header + b"\r\n")

    assert b" 400 " in answer.splitlines()[0]
    assert [] == running.door.requests


def test_nobody_else_can_write_who_he_is(house, authority):
    """The same headers from an address that the listener does not name."""
    running = house.start(
        trusted_proxies=(ip_network("127.0.0.1/32"),), proxy_certificate_header="Client-Cert"
    )
    header = f"Client-Cert: :{base64.b64encode(authority.der).decode()}:\r\n".encode()

    answer = running.send(GET + header + b"X-Forwarded-For: 10.9.8.7\r\n\r\n", source="127.0.0.2")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert ("127.0.0.2", None) == (running.door.connection.address, running.door.connection.tls)
    assert not [name for name in running.door.env if "CERT" in name or "FORWARDED" in name]


def test_a_certificate_header_without_a_proxy_stops_the_start(house):
    """Otherwise the operator would think that it is believed."""
    with pytest.raises(ConfigurationError, match="trusted-proxies"):
        house.start(proxy_certificate_header="Client-Cert")
