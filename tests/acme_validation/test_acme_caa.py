"""CAA: RFC 8659 and RFC 8657."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pikaserver.api.errors import Unavailable
from pikaserver_acme.validation.perspectives import Finding
from pikaserver_acme.validation.question import CaaQuestion, Limits, VantagePoint, Verdict
from pikaserver_acme.validation.validators import CAA_AT_ONCE
from tests.acme_validation.tokens import ACCOUNT, DIGEST

NAME = "a.b.example.org"


@pytest.fixture
def caa(dns, validation):
    """Return a function that asks for names below example.org."""

    def ask(name=NAME, *, wildcard=False, method="http-01", identities=("ca.example",)):
        limits = Limits(
            vantage_points=(VantagePoint("here", (dns.address,)),), caa_identities=identities
        )
        return validation.look_at_caa([CaaQuestion(name, wildcard, method, ACCOUNT, limits)])

    return ask


def test_without_records_anybody_may_issue(caa, dns):
    """Up to the top each name was asked for."""
    verdict = caa()

    assert verdict.valid
    climbed = ["a.b.example.org", "b.example.org", "example.org", "org"]
    assert climbed == [name for name, kind in dns.asked if kind == "CAA"]


def test_a_policy_without_identities_does_not_ask(caa, dns):
    """A private authority, as the policy says."""
    assert Verdict() == caa(identities=())
    assert [] == dns.asked


@pytest.mark.parametrize(
    ("records", "wildcard", "allowed"),
    [
        (['0 issue "ca.example"'], False, True),
        (['0 issue "CA.Example"'], False, True),
        (['0 issue "other.example"', '0 issue " ca.example "'], False, True),
        (['0 ISSUE "ca.example"'], False, True),
        (['0 issue "other.example"'], False, False),
        (['0 issue ";"'], False, False),
        (['0 issue ""'], False, False),
        (['0 issue "%%"'], False, False),
        (['0 iodef "mailto:a@example.org"'], False, True),
        (['0 issuewild "other.example"'], False, True),
        (['0 issuewild "other.example"'], True, False),
        (['0 issue "other.example"', '0 issuewild "ca.example"'], True, True),
        (['0 issue "ca.example"', '0 issuewild ";"'], True, False),
        (['0 issue "ca.example"'], True, True),
        (['0 issue "other.example"'], True, False),
        (['128 tbs "unknown"', '0 issue "ca.example"'], False, False),
        (['0 tbs "unknown"', '0 issue "ca.example"'], False, True),
        (['128 issue "ca.example"'], False, True),
        (['0 issue "ca.example; unknown=x"'], False, True),
        ([f'0 issue "ca.example; accounturi={ACCOUNT}"'], False, True),
        ([f'0 issue "ca.example; accounturi={ACCOUNT}8"'], False, False),
        ([f'0 issue "ca.example; accounturi={ACCOUNT}; accounturi={ACCOUNT}"'], False, False),
        (['0 issue "ca.example; validationmethods=dns-01,http-01"'], False, True),
        (['0 issue "ca.example; validationmethods=dns-01"'], False, False),
        (['0 issue "ca.example; validationmethods="'], False, False),
        (['0 issue "ca.example; accounturi"'], False, False),
    ],
)
def test_the_owner_decides(caa, dns, records, wildcard, allowed):
    """RFC 8659 sections 4.2 to 4.5, RFC 8657 sections 3 and 4."""
    dns.add("example.org", "CAA", *records)

    verdict = caa(wildcard=wildcard)

    assert allowed is verdict.valid
    if not allowed:
        assert "caa" == verdict.error
        assert "CAA example.org" in verdict.detail


def test_an_unknown_method_satisfies_no_list_of_methods(caa, dns):
    """An authorization by policy was validated by none."""
    dns.add("example.org", "CAA", '0 issue "ca.example; validationmethods=dns-01"')

    assert not caa(method=None).valid
    assert caa(method="dns-01").valid


def test_the_closest_records_count_and_an_alias_is_followed(caa, dns):
    """RFC 8659 section 3."""
    dns.add("example.org", "CAA", '0 issue ";"')
    dns.add("b.example.org", "CAA", '0 issue "ca.example"')
    assert caa().valid

    dns.add(NAME, "CNAME", "alias.example.net.")
    dns.add("alias.example.net", "CAA", '0 issue ";"')
    assert not caa().valid


@pytest.mark.parametrize("name", [NAME, "example.org"])
def test_a_server_that_cannot_tell_forbids_it(caa, dns, name):
    """RFC 8659 section 3: no answer is no permission; records above do not matter."""
    dns.failing.add(name)

    assert "dns" == caa().error


def test_several_names_share_what_is_above_them(validation, dns):
    """One look-up for each name, however many are asked for."""
    limits = Limits(
        vantage_points=(VantagePoint("here", (dns.address,)),), caa_identities=("ca.example",)
    )
    asked = [
        CaaQuestion(
            f"{one}.example.org", wildcard=False, validated_by=None, account_url="", limits=limits
        )
        for one in "abc"
    ]

    assert validation.look_at_caa(asked).valid
    assert 5 == len(dns.asked)


def test_a_proof_includes_caa(dns, ask, look):
    """A name that somebody else is to issue for is not proved (CA/Browser Forum BR 4.2.2.1)."""
    dns.add("_acme-challenge.www.example.org", "TXT", f'"{DIGEST}"')
    limits = {"caa_identities": ("ca.example",)}
    assert look(ask("dns-01", limits=limits)).valid

    dns.add("example.org", "CAA", '0 issue "ca.example; validationmethods=http-01"')

    verdict = look(ask("dns-01", limits=limits))
    assert "caa" == verdict.error
    assert "wants a validation by http-01" in verdict.detail


def test_a_slow_dns_does_not_take_all_threads(caa, validation, monkeypatch):
    """So many wait for CAA records; who comes then is told to come again, and is let in later."""
    begun, ending = threading.Semaphore(0), threading.Event()

    def slow(_limits, _look):
        begun.release()
        assert ending.wait(30)
        return Finding(None, ())

    monkeypatch.setattr(validation._perspectives, "look", slow)  # noqa: SLF001 - a DNS that hangs
    with ThreadPoolExecutor(CAA_AT_ONCE) as threads:
        waiting = [threads.submit(caa) for _ in range(CAA_AT_ONCE)]
        assert all(begun.acquire(timeout=30) for _ in waiting)
        with pytest.raises(Unavailable, match="finalize again soon"):
            caa()
        ending.set()
    assert all(one.result().valid for one in waiting)
    assert caa().valid
