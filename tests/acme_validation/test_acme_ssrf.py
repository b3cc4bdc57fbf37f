"""What a client could make this server connect to, read or wait for; and what comes of it.

Each is refused and told in the attempt log, and the threads are free afterwards.
"""

import ipaddress

import pytest

from pikaserver.testing.fake_server import FakeServer
from pikaserver_acme.validation.question import Limits, VantagePoint
from pikaserver_acme.validation.settings import ValidationSettings
from pikaserver_acme.validation.validators import Validation
from tests.acme_validation.challenges import StoredChallenges
from tests.acme_validation.raw_server import GOOD, always, answer, by_path
from tests.acme_validation.tokens import PATH


def redirect(to: str):
    """Return a server that sends everybody elsewhere."""
    return always(answer("302 Found", b"", f"Location: {to}"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",  # noqa: S104 - an address that is refused
        "0",
        "localhost",
        "localhost.",
        "www.localhost",
        "%6cocalhost",
        "127.0.0.1.",
    ],
)
def test_a_redirect_to_an_address_is_refused_in_every_spelling(dns, serve, ask, look, host):
    """Loopback is open to the policy here, and a server is waiting there: nobody comes."""
    dns.add("www.example.org", "A", "127.0.0.1")
    inside = serve(GOOD)
    first = serve(redirect(f"http://{host}:{inside.port}/secret"))
    inside_port = serve(redirect(f"http://{host}/secret"))

    for server in (first, inside_port):
        verdict = look(ask(limits={"http_port": server.port}))

        assert "connection" == verdict.error
        assert any(line.startswith("redirected to http://") for line in verdict.log)
        assert verdict.log[-1].startswith("failed: ")
    assert 0 == inside.connections


@pytest.mark.parametrize(
    "location",
    [
        "ftp://www.example.org/",
        "file:///etc/passwd",
        "gopher://www.example.org/",
        "http://user:secret@www.example.org/",
        "http://www.example.org:22/",
        "http://www.example.org:99999/",
        "http://www.example.org\\@169.254.169.254/",
        "http://[::1/",
        "//169.254.169.254/latest/meta-data/",
        "http://a.example/" + "x" * 2000,
        "",
    ],
)
def test_a_redirect_elsewhere_is_refused(dns, serve, ask, look, location):
    """Other schemes, other ports, passwords, and what is no URL."""
    dns.add("www.example.org", "A", "127.0.0.1")
    server = serve(redirect(location))

    verdict = look(ask(limits={"http_port": server.port}))

    assert "connection" == verdict.error
    assert 1 == server.connections


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("A", "169.254.169.254"),
        ("A", "0.0.0.0"),  # noqa: S104 - an address that is refused
        ("A", "10.1.2.3"),
        ("AAAA", "::ffff:127.0.0.1"),
        ("AAAA", "64:ff9b::7f00:1"),
        ("AAAA", "fd00:ec2::254"),
        ("AAAA", "::1"),
    ],
)
@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_name_that_leads_inside_is_refused(dns, ask, look, kind, address, challenge):
    """By its first answer, or by the one behind a redirect: it is the same door."""
    dns.add("www.example.org", kind, address)

    verdict = look(ask(challenge))

    assert "connection" == verdict.error
    shown = str(ipaddress.ip_address(address))
    assert any(shown in line and "refused" in line for line in verdict.log)
    assert not any(line.startswith("connected") for line in verdict.log)


def test_a_redirect_to_a_name_that_leads_inside_is_refused(dns, serve, ask, look):
    """The second name is looked up and checked as the first was."""
    dns.add("www.example.org", "A", "127.0.0.1")
    dns.add("metadata.example.org", "A", "169.254.169.254")
    port = serve(GOOD).port
    server = serve(redirect(f"http://metadata.example.org:{port}/latest/meta-data/"))
    server.say = redirect(f"http://metadata.example.org:{server.port}/latest/meta-data/")

    verdict = look(ask(limits={"http_port": server.port}))

    assert "169.254.169.254 hands out cloud metadata: refused" in verdict.detail


def test_an_answer_that_changes_between_look_ups_changes_nothing(dns, serve, ask, look):
    """The address that was checked is the one that is dialled, and a redirect keeps it."""
    inside = serve(GOOD)
    dns.turns["www.example.org", "A"] = [["127.0.0.2"], ["127.0.0.1"]]
    closed = ("127.0.0.2/32",)

    verdict = look(ask(limits={"http_port": inside.port, "reachable": closed}))

    assert not verdict.valid
    assert 0 == inside.connections
    assert [("www.example.org", "A")] == [one for one in dns.asked if one[1] == "A"]

    dns.turns["www.example.org", "A"] = [["127.0.0.1"], ["169.254.169.254"]]
    moved = serve(
        by_path({PATH: answer("302 Found", b"", "Location: /x"), "/x": answer("410 Gone")})
    )
    verdict = look(ask(limits={"http_port": moved.port}))
    assert "got 410" in verdict.detail
    assert 2 == moved.connections


DIRECTLY = {"reachable": (), "reachable_directly": ("127.0.0.0/8", "::1/128")}


def test_loopback_is_for_the_identifier_and_not_for_redirects(dns, serve, ask, look):
    """A client beside the server is found; it cannot send us to another door of this host."""
    dns.add("www.example.org", "A", "127.0.0.1")
    dns.add("other.example.org", "A", "127.0.0.1")
    server = serve(GOOD)
    limits = {**DIRECTLY, "http_port": server.port}
    assert look(ask(limits=limits)).valid

    server.say = redirect(f"http://other.example.org:{server.port}/")
    verdict = look(ask(limits=limits))
    assert "127.0.0.1 is not for redirects: refused" in verdict.detail

    server.say = redirect("https://www.example.org/")
    verdict = look(ask(limits=limits))
    assert "127.0.0.1 is not for redirects: refused" in verdict.detail

    server.say = redirect(f"http://127.0.0.1:{server.port}/")
    assert "is an address" in look(ask(limits=limits)).detail

    server.say = by_path({PATH: answer("302 Found", b"", "Location: /x"), "/x": answer("410 Gone")})
    assert "got 410" in look(ask(limits=limits)).detail


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_clients_beside_the_server_open_nothing_else(dns, ask, look, address):
    """What is never reached stays so."""
    dns.add("www.example.org", "AAAA" if ":" in address else "A", address)

    verdict = look(ask(limits=DIRECTLY))

    assert not verdict.valid
    assert not any(line.startswith("connected") for line in verdict.log)


def test_the_servers_own_ports_are_never_reached(dns, serve, ask):
    """Its administration listens on loopback, which the policy opens."""
    server = FakeServer()
    own = serve(GOOD)
    server.ports = frozenset({own.port})
    validation = Validation(
        server, StoredChallenges.__new__(StoredChallenges), ValidationSettings()
    )
    dns.add("www.example.org", "A", "127.0.0.1")

    for kind in ("http-01", "tls-alpn-01"):
        question = ask(kind, limits={"http_port": own.port, "tls_port": own.port})
        verdict, again = validation.validate(question)
        assert f"127.0.0.1 port {own.port} is a port of this server: refused" == verdict.detail
        assert not again
    assert 0 == own.connections


def test_ranges_that_the_settings_refuse_no_policy_opens(dns, serve, ask):
    """``never-reach`` is the operator's, and comes first."""
    settings = ValidationSettings(**{"never-reach": ["127.0.0.0/8"]})
    validation = Validation(FakeServer(), StoredChallenges.__new__(StoredChallenges), settings)
    dns.add("www.example.org", "A", "127.0.0.1")

    verdict, _ = validation.validate(ask(limits={"http_port": serve(GOOD).port}))

    assert "127.0.0.1 is refused by the settings: refused" in verdict.detail


def test_every_vantage_point_is_asked_and_may_be_outvoted(dns, serve, ask, look):
    """One resolver lies: alone it does not decide, unless the policy lets it."""
    other = type(dns)()
    try:
        dns.add("www.example.org", "A", "127.0.0.1")
        other.add("www.example.org", "A", "169.254.169.254")
        points = (
            VantagePoint("here", (dns.address,)),
            VantagePoint("there", (other.address,), "127.0.0.1"),
            VantagePoint("elsewhere", (dns.address,)),
        )
        limits = {"http_port": serve(GOOD).port, "vantage_points": points}

        verdict = look(ask(limits=limits))
        assert "connection" == verdict.error
        assert verdict.detail.startswith("seen from 'there': www.example.org may not be reached")
        assert "here: succeeded" in verdict.log

        assert look(ask(limits={**limits, "dissenting": 1})).valid
        only_bad = {**limits, "vantage_points": points[1:2] * 2, "dissenting": 5}
        assert not look(ask(limits=only_bad)).valid
    finally:
        other.close()


def test_limits_have_safe_defaults():
    """What a policy does not say: public addresses, the usual ports."""
    assert ((), 80, 443, 443) == (
        Limits().reachable,
        Limits().http_port,
        Limits().https_port,
        Limits().tls_port,
    )
