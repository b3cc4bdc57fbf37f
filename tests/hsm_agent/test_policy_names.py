"""Names in certificates: by labels, networks and hosts, never by the end of a text."""

from ipaddress import ip_network

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.policy.name_forms import Hosts, Mailboxes, below, host, split_uri
from hsm_agent.policy.verdicts import Allowed, Denied
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.listed_names import BODY, HEAD
from tests.hsm_agent.made_structures import ip, leaf, rules, upn

UTF8 = b"\x0c\x01a"


def unchecked(kind, text):
    """Return a name without the checks of the library."""
    return kind._init_without_validation(text)  # noqa: SLF001 - what an attacker writes


@pytest.fixture
def agent():
    """A key for some names of each kind."""
    return Agent(rules(["cert"], BODY))


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("example.com"),
        x509.DNSName("www.example.com"),
        x509.DNSName("a.b.c.example.com"),
        x509.DNSName("WWW.Example.COM"),
        x509.DNSName("*.example.com"),
        x509.DNSName("_acme.internal.example"),
        x509.RFC822Name("alice@example.com"),
        x509.RFC822Name("alice@mail.example.com"),
        x509.RFC822Name("bob@example.org"),
        ip("10.1.2.3"),
        ip("2001:db8::1"),
        ip("192.0.2.7"),
        x509.UniformResourceIdentifier("https://www.example.com/path?q#f"),
        x509.UniformResourceIdentifier("https://example.com:8443/"),
        x509.UniformResourceIdentifier("spiffe://example.com/workload"),
        x509.UniformResourceIdentifier("https://10.0.0.1/"),
        x509.UniformResourceIdentifier("https://[2001:db8::1]:443/"),
        x509.UniformResourceIdentifier("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
        upn("alice@ad.example.com"),
        x509.DirectoryName(made.name("CN=a,O=Example")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), UTF8),
    ],
    ids=str,
)
def test_names_within_the_lists_are_signed(agent, name):
    """One of each kind that is listed."""
    assert isinstance(agent.ask(leaf(names=(name,))), Allowed)


@pytest.mark.parametrize(
    "name",
    [
        unchecked(x509.DNSName, "evilexample.com"),
        unchecked(x509.DNSName, "example.com.evil.test"),
        unchecked(x509.DNSName, "com"),
        unchecked(x509.DNSName, "*.com"),
        unchecked(x509.DNSName, "*"),
        unchecked(x509.DNSName, "*.*.example.com"),
        unchecked(x509.DNSName, "w*.example.com"),
        unchecked(x509.DNSName, "www.*.example.com"),
        unchecked(x509.DNSName, "example.com."),
        unchecked(x509.DNSName, ".example.com"),
        unchecked(x509.DNSName, "a..example.com"),
        unchecked(x509.DNSName, "evil.test\0.example.com"),
        unchecked(x509.DNSName, "evil.test/.example.com"),
        unchecked(x509.DNSName, "evil test.example.com"),
        unchecked(x509.DNSName, "ex\u00e4mple.example.com"),
        unchecked(x509.DNSName, "-.example.com"),
        unchecked(x509.DNSName, "a" * 64 + ".example.com"),
        unchecked(x509.DNSName, "a." * 125 + "example.com"),
        unchecked(x509.DNSName, "10.0.0.1"),
        unchecked(x509.RFC822Name, "alice@evilexample.com"),
        unchecked(x509.RFC822Name, "alice@example.org"),
        unchecked(x509.RFC822Name, "bob@sub.example.org"),
        unchecked(x509.RFC822Name, "alice@evil.test@example.com"),
        unchecked(x509.RFC822Name, '"alice@evil.test"@example.com'),
        unchecked(x509.RFC822Name, "example.com"),
        unchecked(x509.RFC822Name, "@example.com"),
        unchecked(x509.RFC822Name, "a b@example.com"),
        ip("11.0.0.1"),
        ip("2001:db9::1"),
        ip("::ffff:10.0.0.1"),
        x509.IPAddress(ip_network("10.0.0.0/8")),
        unchecked(x509.UniformResourceIdentifier, "https://evilexample.com/"),
        unchecked(x509.UniformResourceIdentifier, "https://example.com@evil.test/"),
        unchecked(x509.UniformResourceIdentifier, "https://evil.test@example.com/"),
        unchecked(x509.UniformResourceIdentifier, "https://evil.test\\.example.com/"),
        unchecked(x509.UniformResourceIdentifier, "https://evil.test%2f.example.com/"),
        unchecked(x509.UniformResourceIdentifier, "https://11.0.0.1/"),
        unchecked(x509.UniformResourceIdentifier, "https:///example.com"),
        unchecked(x509.UniformResourceIdentifier, "mailto:alice@example.com"),
        unchecked(x509.UniformResourceIdentifier, "example.com"),
        unchecked(x509.UniformResourceIdentifier, "//example.com/"),
        unchecked(x509.UniformResourceIdentifier, "https://example.com/ x"),
        upn("alice@example.com"),
        upn("alice"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x05\x00"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01\xff"),
        x509.OtherName(x509.ObjectIdentifier("1.2.3.5"), UTF8),
        x509.DirectoryName(made.name("CN=a,O=Other")),
        x509.DirectoryName(x509.Name([])),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
    ],
    ids=repr,
)
def test_names_outside_the_lists_are_refused(agent, name):
    """Also those that only look as if they were inside."""
    good = x509.DNSName("www.example.com")

    verdict = agent.ask(leaf(names=(good, name)))

    assert isinstance(verdict, Denied)
    assert "policy" == verdict.code


def test_nothing_is_listed_and_nothing_is_allowed():
    """A policy without lists allows no names at all."""
    agent = Agent(rules(["cert"], HEAD))

    assert isinstance(agent.ask(leaf(names=())), Allowed)
    for name in (x509.DNSName("a.example"), ip("10.0.0.1"), x509.RFC822Name("a@b.example")):
        assert isinstance(agent.ask(leaf(serial=2, names=(name,))), Denied)


def test_a_star_allows_all_names_that_are_well_formed():
    """Octets that two readers understand differently stay refused."""
    lists = "".join(f"{kind} = ['*']\n" for kind in ("dns", "email", "ip", "uri", "upn"))
    agent = Agent(rules(["cert"], HEAD + lists + "dirname = ['*']\nother-names = ['*']"))
    good = (x509.DNSName("a"), ip("::1"), x509.UniformResourceIdentifier("file:///x"))

    for serial, name in enumerate(good, start=1):
        assert isinstance(agent.ask(leaf(serial=serial, names=(name,))), Allowed)
    for name in (
        x509.DNSName("a\0.example"),
        x509.DNSName("*.com"),
        unchecked(x509.RFC822Name, "a"),
    ):
        assert isinstance(agent.ask(leaf(serial=9, names=(name,))), Denied)


def test_an_empty_list_of_names_is_refused():
    """RFC 5280 section 4.2.1.6: there is at least one."""
    empty = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\0")

    verdict = Agent(rules(["cert"], HEAD)).ask(leaf(names=(), more=((empty, False),)))

    assert "without a name" in verdict.why


def test_wildcards_can_be_refused():
    """Everywhere, also in a common name."""
    agent = Agent(rules(["cert"], HEAD + "dns = ['example.com']\nwildcards = false"))

    for changes in (
        {"names": (x509.DNSName("*.example.com"),)},
        {"subject": made.name("CN=*.example.com")},
    ):
        assert "is a wildcard" in agent.ask(leaf(**changes)).why


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABEL, min_size=1, max_size=4), st.lists(LABEL, max_size=3))
def test_a_base_covers_itself_and_all_below(base, more):
    """Whatever stands in front of a dot."""
    domain = ".".join([*base, "example"])
    name = ".".join([*more, domain])

    assert Hosts((domain,)).covers(name)
    assert not Hosts((domain,)).covers(f"x{domain}")
    assert not Hosts((f"x.{name}",)).covers(name)


@given(st.text(max_size=80))
def test_forms_of_names_never_crash(text):
    """Whatever is covered is well-formed ASCII."""
    everything = Hosts(("*",))

    if everything.covers(text):
        assert text.isascii()
        assert host(text) == text.lower()
    assert isinstance(everything.covers_wildcard(text), bool)
    assert isinstance(Mailboxes(("*",)).covers(text), bool)
    assert split_uri(text) is None or isinstance(split_uri(text), tuple)
    assert below(text, text)
