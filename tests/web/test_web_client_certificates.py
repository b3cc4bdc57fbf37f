"""Client certificates: asked for or not, believed only when they verify."""

import logging
from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.web.tls import IdentityFiles, TlsSettings
from pikaserver.web.tls_contexts import LONGEST_CHAIN

LAST = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def shown(running):
    """Return what the application was told of the client's certificate."""
    tls = running.door.connection.tls
    return tls.certificate, tls.certificate_fault


def test_an_optional_certificate_may_be_left_out_or_shown(house, authority, tls, curl):
    """RFC 7030 section 3.2.3: what was shown reaches the application, proved by the handshake."""
    running = house.start(tls=tls, client_certificates="optional")
    device = authority.issue("device")

    assert "hello" == curl(running)
    assert (None, None) == shown(running)
    assert "hello" == curl(running, device)
    assert (authority.der_of(device[0]), None) == shown(running)


def test_a_certificate_is_not_asked_for_where_nobody_wants_it(house, authority, tls, curl):
    """A listener for browsers must not open their certificate dialogue."""
    running = house.start(tls=tls)

    assert "hello" == curl(running, authority.issue("device"))
    assert (None, None) == shown(running)


def test_a_required_certificate_may_not_be_left_out(house, authority, tls, curl):
    """The handshake ends with an alert that names the reason."""
    running = house.start(tls=tls, client_certificates="required")
    device = authority.issue("device")

    assert "certificate required" in curl(running)
    assert "hello" == curl(running, device)
    assert 1 == len(running.door.requests)
    assert (authority.der_of(device[0]), None) == shown(running)


def impostor(authority, make):
    """Return a pair whose issuer has the name of ours and another key."""
    other = make("Impostor")
    other.name = authority.name
    return other.issue("impostor")


def below_a_device(authority, make):
    """Return a pair that a device issued, which is no authority."""
    device = make("Device", above=authority)
    no_authority = authority.sign(device.name, device.key.public_key())
    device.chain = no_authority.public_bytes(Encoding.PEM)
    return device.issue("below")


def below_an_expired_authority(authority, make):
    """Return a pair that is valid itself."""
    middle = make("Middle", above=authority)
    expired = authority.sign(middle.name, middle.key.public_key(), ca=True, since=20, days=-10)
    middle.chain = expired.public_bytes(Encoding.PEM)
    return middle.issue("device")


def self_signed(_authority, make):
    """Return a pair that nobody vouches for."""
    device = make("Device")
    return device.file, device.issue("unused", device.key)[1]


def far_below(authority, make):
    """Return a pair with more authorities above it than anybody needs."""
    for number in range(LONGEST_CHAIN + 2):
        authority = make(f"Level {number}", above=authority)
    return authority.issue("device")


FAULTS = {
    "expired": (
        lambda a, _: a.issue("device", since=20, days=-10),
        "the client certificate is expired",
    ),
    "not yet valid": (
        lambda a, _: a.issue("device", since=-10),
        "the client certificate is not valid yet",
    ),
    "foreign": (
        lambda _, make: make("Foreign CA").issue("device"),
        "the client certificate was not issued by an authority of this server",
    ),
    "foreign with its chain": (
        lambda _, make: make("Foreign CA", above=make("Foreign Root")).issue("device"),
        "the client certificate was not issued by an authority of this server",
    ),
    "self-signed": (
        self_signed,
        "the client certificate was not issued by an authority of this server",
    ),
    "of an impostor": (impostor, "the client certificate has a wrong signature"),
    "of a device": (
        below_a_device,
        "a certificate above the client certificate is not an authority's",
    ),
    "of an expired authority": (
        below_an_expired_authority,
        "a certificate above the client certificate is expired",
    ),
    "far below": (far_below, "the client certificate comes with too long a chain"),
    "expired and for servers only": (
        lambda a, _: a.issue("www", usage=ExtendedKeyUsageOID.SERVER_AUTH, since=20, days=-10),
        "the client certificate is expired",
    ),
    "foreign and for servers only": (
        lambda _, make: make("Foreign CA").issue("www", usage=ExtendedKeyUsageOID.SERVER_AUTH),
        "the client certificate was not issued by an authority of this server",
    ),
}


@pytest.fixture(params=FAULTS)
def bad(request, authority, make_authority):
    """A pair that must not be believed, and why."""
    make, why = FAULTS[request.param]
    return make(authority, make_authority), why


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_an_optional_certificate_that_does_not_verify_is_only_a_reason(
    house, tls, talk, bad, version
):
    """The application hears why, and never sees the certificate."""
    running = house.start(tls=tls, client_certificates="optional")
    (chain, key), why = bad

    shows = ("-cert", chain, "-cert_chain", chain, "-key", key)
    assert "hello" in talk(running, version, *shows)

    assert (None, why) == shown(running)


@pytest.mark.parametrize("asks", ["optional", "required"])
def test_a_web_server_may_show_its_own_certificate(house, tls, talk, authority, asks):
    """It renews with it; what a certificate may be used for is the application's question."""
    running = house.start(tls=tls, client_certificates=asks)
    chain, key = authority.issue("www", usage=ExtendedKeyUsageOID.SERVER_AUTH)

    assert "hello" in talk(running, "-cert", chain, "-cert_chain", chain, "-key", key)

    certificate, fault = shown(running)
    assert certificate is not None
    assert fault is None


def test_a_required_certificate_that_does_not_verify_ends_the_handshake(
    house, tls, talk, bad, caplog, until
):
    """An alert for its owner, the reason for the log, and nothing for the application."""
    caplog.set_level(logging.INFO)
    running = house.start(tls=tls, client_certificates="required")
    (chain, key), why = bad

    answer = talk(running, "-cert", chain, "-cert_chain", chain, "-key", key)

    until(lambda: running.listener.traffic.failed_handshakes)
    assert "alert" in answer
    assert [] == running.door.requests
    assert [why] == [r.why for r in caplog.records if r.msg == "handshake failed"]


def test_one_clients_fault_is_not_the_next_ones(house, authority, make_authority, tls, shake):
    """Also not on the same thread, whose OpenSSL remembers errors."""
    running = house.start(tls=tls, client_certificates="optional")
    good, bad = authority.issue("device"), impostor(authority, make_authority)
    for pair, believed in ((good, True), (bad, False), (None, False)) * 3:
        connection = shake(running, pair)
        connection.sendall(LAST)
        assert running.read_all(connection).endswith(b"hello")
        certificate, fault = shown(running)
        assert believed == (certificate is not None)
        assert (pair is bad) == (fault is not None)


def test_a_certificate_for_clients_is_believed(house, authority, tls, curl):
    """RFC 5280 section 4.2.1.12: where there is an extended key usage, it names clientAuth."""
    running = house.start(tls=tls, client_certificates="required")

    device = authority.issue("device", usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    assert "hello" == curl(running, device)


def test_each_anchor_is_an_end_of_its_own(house, authority, make_authority, curl):
    """A client need not send what stands above it, and the root need not be known."""
    issuing = make_authority("Issuing", above=authority)
    tls = TlsSettings(IdentityFiles(*authority.issue("server")), lambda: [issuing.der])
    running = house.start(tls=tls, client_certificates="required")
    issuing.chain = b""
    device = issuing.issue("device")

    assert "hello" == curl(running, device)
    assert (authority.der_of(device[0]), None) == shown(running)
    assert "unknown ca" in curl(running, authority.issue("above"))


def test_a_new_authority_is_known_without_a_restart(house, authority, make_authority, curl, until):
    """And a removed one is known no more."""
    other = make_authority("Second CA")
    anchors = [authority.der]
    tls = TlsSettings(IdentityFiles(*authority.issue("server")), lambda: list(anchors))
    running = house.start(tls=tls, client_certificates="required")
    device = other.issue("device")
    assert "unknown ca" in curl(running, device)

    anchors[:] = [other.der]

    until(lambda: curl(running, device) == "hello")
    assert "unknown ca" in curl(running, authority.issue("old-device"))


def test_an_anchor_that_openssl_cannot_read_shuts_nobody_else_out(house, authority, curl, caplog):
    """An authority with an exotic key must not stop the others' devices."""
    tls = TlsSettings(
        IdentityFiles(*authority.issue("server")), lambda: [b"rubbish", authority.der]
    )
    running = house.start(tls=tls, client_certificates="required")

    assert "hello" == curl(running, authority.issue("device"))
    assert [r for r in caplog.records if getattr(r, "event", "") == "tls-anchor-bad"]


def test_a_proxys_own_certificate_is_not_the_clients(house, authority, tls, curl):
    """The proxy's TLS with us says who the proxy is."""
    running = house.start(
        tls=tls, client_certificates="required", trusted_proxies=(ip_network("127.0.0.1/32"),)
    )

    assert "hello" == curl(running, authority.issue("proxy"))
    assert (None, None) == shown(running)
