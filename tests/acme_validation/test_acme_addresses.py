"""Which addresses and hosts are reached, and which never."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver_acme.validation.addresses import AddressGuard, is_own, read_networks
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.hosts import read_name
from pikaserver_acme.validation.resolver import server_address

EVERYTHING = AddressGuard(read_networks(["0.0.0.0/0", "::/0"]))
NEVER = [
    "0.0.0.0",  # noqa: S104 - an address that is refused
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.0.170",
    "224.0.0.1",
    "239.1.2.3",
    "255.255.255.255",
    "240.0.0.1",
    "192.88.99.1",
    "::",
    "::7f00:1",
    "::a9fe:a9fe",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "ff02::1",
    "100::1",
    "2001:10::1",
]
BY_POLICY = [
    "127.0.0.1",
    "127.1.2.3",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "2001:db8::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_no_policy_opens(text):
    """Metadata, mapped, translated, tunnelled, link-local, multicast: even if all is opened."""
    assert EVERYTHING.objection(ipaddress.ip_address(text)) is not None


@pytest.mark.parametrize("text", BY_POLICY)
def test_private_addresses_are_a_matter_of_the_policy(text):
    """Closed by default, loopback included; open where the policy names their range."""
    address = ipaddress.ip_address(text)

    assert "the policy does not open it" in AddressGuard().objection(address)
    assert EVERYTHING.objection(address) is None


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_reached_unless_the_settings_refuse_them(text):
    """The operator's own list comes before every policy."""
    address = ipaddress.ip_address(text)

    assert AddressGuard().objection(address) is None
    refusing = AddressGuard((), read_networks([text]))
    assert "is refused by the settings" == refusing.objection(address)


@given(st.ip_addresses(v=4))
def test_ipv4_in_whatever_wrapping_of_ipv6_is_refused(address):
    """However the same 32 bits are put into 128."""
    number = int(address)
    wrapped = [
        *(ipaddress.IPv6Address(above << 32 | number) for above in (0xFFFF, 0xFFFF0000)),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
        ipaddress.IPv6Address((0x2001 << 112) | (number ^ 0xFFFFFFFF)),
    ]

    assert all(EVERYTHING.objection(one) is not None for one in wrapped)


def test_the_servers_own_ports_are_refused_on_its_own_addresses_only():
    """A listener of ours on this host; the same port elsewhere is another machine's."""
    guard = AddressGuard(own_ports=lambda: frozenset({8443}))

    with pytest.raises(Failed, match="a port of this server"):
        guard.check_port(ipaddress.ip_address("127.0.0.1"), 8443)
    guard.check_port(ipaddress.ip_address("127.0.0.1"), 8444)
    guard.check_port(ipaddress.ip_address("203.0.113.1"), 8443)


def test_own_addresses_are_known():
    """All of 127.0.0.0/8, and nothing outside."""
    assert is_own(ipaddress.ip_address("127.0.0.1"))
    assert is_own(ipaddress.ip_address("127.9.8.7"))
    assert is_own(ipaddress.ip_address("::1"))
    assert not is_own(ipaddress.ip_address("203.0.113.1"))


@pytest.mark.parametrize(
    "text",
    [
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "127.0.0.1",
        "1.2.3.4.5",
        "127.0.0.0x1",
        "example.1",
        "localhost",
        "a.localhost",
        "LOCALHOST.",
        "::1",
        "[::1]",
        "a..b",
        "-a.example",
        "a-.example",
        "%31.example",
        "xn--ä.example",
        "\uff11\uff12\uff17.0.0.1",
        "a\u3002b",
        "127.0.0.1.",
        "0x.example.0x",
        "a/b",
        "user@host",
    ],
)
def test_odd_spellings_of_addresses_are_no_names(text):
    """What a resolver would take for an address, and what is no name at all."""
    with pytest.raises(Failed):
        read_name(text)


def test_a_name_is_read_in_small_letters_without_its_last_dot():
    """As it is compared and looked up."""
    assert "www.example.org" == read_name("WWW.Example.ORG.")
    assert "_sip._tcp.example.org" == read_name("_sip._tcp.example.org")


@given(st.text(max_size=300))
def test_whatever_is_read_as_a_name_is_no_address(text):
    """And nothing raises anything else."""
    try:
        name = read_name(text)
    except Failed:
        return
    with pytest.raises(ValueError, match="does not appear to be"):
        ipaddress.ip_address(name)
    assert name == read_name(name)


@given(st.text(max_size=50))
def test_a_dns_server_is_a_host_with_a_port(text):
    """Or it is refused while settings are read."""
    try:
        host, port = server_address(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


def test_dns_servers_are_written_as_people_write_them():
    """With a port, without one, and for IPv6."""
    assert ("127.0.0.1", 5353) == server_address("127.0.0.1:5353")
    assert ("dns.example", 53) == server_address("dns.example")
    assert ("::1", 53) == server_address("::1")
    assert ("::1", 53) == server_address("[::1]")
    assert ("::1", 5353) == server_address("[::1]:5353")
