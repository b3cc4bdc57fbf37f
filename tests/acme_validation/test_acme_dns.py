"""dns-01, dns-account-01, dns-persist-01, and the resolver beneath them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver_acme.validation.dns_01 import account_label
from pikaserver_acme.validation.issue_values import read_issue_value
from tests.acme_validation.raw_server import always, answer
from tests.acme_validation.tokens import ACCOUNT, DIGEST, KEY_AUTHORIZATION

NAME = "www.example.org"
CHALLENGE = f"_acme-challenge.{NAME}"
PERSIST = f"_validation-persist.{NAME}"
IDENTITIES = {"caa_identities": ("ca.example.org",)}
OURS = f"ca.example.org; accounturi={ACCOUNT}"
NOW = 1767355200
"""What the frozen clock says, in seconds."""


def quoted(*strings):
    """Return a TXT record of these strings."""
    return " ".join(f'"{one}"' for one in strings)


@pytest.mark.parametrize("changes", [{}, {"wildcard": True}, {"subdomains": True}])
def test_one_of_several_txt_records_counts(dns, ask, look, changes):
    """RFC 8555 section 8.4: for wildcards and ancestors, too."""
    dns.add(CHALLENGE, "TXT", quoted("old"), quoted(DIGEST[:20], DIGEST[20:]))

    verdict = look(ask("dns-01", **changes))

    assert verdict.valid
    assert (f"TXT {CHALLENGE}: 2 records", "succeeded") == verdict.log


def test_an_alias_is_followed_where_the_server_does_not(dns, ask, look):
    """As acme-dns is used; and not for ever."""
    dns.add(CHALLENGE, "CNAME", "one.example.net.")
    dns.add("one.example.net", "CNAME", "two.example.com.")
    dns.add("two.example.com", "TXT", quoted(DIGEST))
    assert look(ask("dns-01")).valid

    dns.add("two.example.com", "CNAME", "one.example.net.")
    del dns.records["two.example.com", "TXT"]
    assert "dns" == look(ask("dns-01")).error


def test_a_long_answer_comes_by_tcp(dns, ask, look):
    """More than a datagram holds."""
    dns.add(CHALLENGE, "TXT", *(quoted(f"{number}" * 100) for number in range(40)), quoted(DIGEST))

    assert look(ask("dns-01")).valid


def test_what_is_missing_or_wrong_is_told_and_tried_again(dns, ask, validation):
    """Records take their time to spread."""
    verdict, again = validation.validate(ask("dns-01"))
    assert ("unauthorized", True) == (verdict.error, again)
    assert f"no TXT record at {CHALLENGE}; it should hold {DIGEST}" == verdict.detail

    dns.add(CHALLENGE, "TXT", quoted("something"))
    verdict, again = validation.validate(ask("dns-01"))
    assert f"TXT {CHALLENGE} holds \"'something'\", not {DIGEST}".replace('"', "") in (
        verdict.detail.replace('"', "")
    )
    assert again


def test_a_server_that_cannot_tell_is_not_a_name_without_records(dns, ask, validation):
    """SERVFAIL is another error, which may pass."""
    dns.failing.add(CHALLENGE)

    verdict, again = validation.validate(ask("dns-01"))

    assert ("dns", True) == (verdict.error, again)
    assert "cannot tell TXT" in verdict.detail


def test_an_account_has_a_label_of_its_own(dns, ask, look):
    """draft-ietf-acme-dns-account-label: so that several accounts do not meet."""
    label = account_label("https://example.com/acme/acct/ExampleAccount")
    assert "_ujmmovf2vn55tgye" == label

    dns.add(f"{account_label(ACCOUNT)}.{CHALLENGE}", "TXT", quoted(DIGEST))
    assert look(ask("dns-account-01")).valid
    assert not look(ask("dns-account-01", account_url=ACCOUNT + "1")).valid
    assert not look(ask("dns-01")).valid


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (OURS, {}),
        (OURS.upper().replace(ACCOUNT.upper(), ACCOUNT), {}),
        (f"{OURS};policy=other;unknown=x", {}),
        (f"{OURS};persistUntil={NOW}", {}),
        (f"{OURS} ; Policy=WildCard", {"wildcard": True}),
        (f"{OURS}; policy=wildcard", {"subdomains": True}),
    ],
)
def test_a_lasting_record_counts(dns, ask, look, record, changes):
    """draft-ietf-acme-dns-persist: names of parameters are compared without case."""
    dns.add(PERSIST, "TXT", quoted("another; record"), quoted(record))

    assert look(ask("dns-persist-01", limits=IDENTITIES, **changes)).valid


@pytest.mark.parametrize(
    ("record", "changes", "told"),
    [
        (f"other.example; accounturi={ACCOUNT}", {}, "it names other.example"),
        (f"; accounturi={ACCOUNT}", {}, "it names nobody"),
        ("ca.example.org", {}, "another account, or none"),
        (f"{OURS}8", {}, "another account, or none"),
        (f"{OURS}; accounturi={ACCOUNT}", {}, "2 times"),
        (OURS, {"wildcard": True}, "lacks policy=wildcard"),
        (OURS, {"subdomains": True}, "lacks policy=wildcard"),
        (f"{OURS};persistUntil={NOW - 1}", {}, "a time that is over"),
        (f"{OURS};persistUntil=soon", {}, "not a number"),
        (f"{OURS};persistUntil=-1", {}, "not a number"),
        (f"{OURS};;", {}, "is not a parameter"),
    ],
)
def test_a_lasting_record_that_says_something_else_does_not(dns, ask, look, record, changes, told):
    """And the client is told what it should say."""
    dns.add(PERSIST, "TXT", quoted(record))

    verdict = look(ask("dns-persist-01", limits=IDENTITIES, **changes))

    assert "unauthorized" == verdict.error
    assert told in verdict.detail
    assert f"should be '{OURS}" in verdict.detail


def test_without_an_identity_nothing_lasting_can_be_found(ask, look):
    """A policy that forgot it is told so."""
    assert "serverInternal" == look(ask("dns-persist-01")).error


@given(st.text(max_size=200))
def test_an_issue_value_is_read_or_refused(text):
    """RFC 8659 section 4.2; nothing raises anything else."""
    try:
        value = read_issue_value(text)
    except MalformedRequest:
        return
    parameters = "".join(f";{tag}={each}" for tag, each in value.parameters)
    assert value == read_issue_value(value.issuer + parameters)


@pytest.mark.parametrize("text", ["a b", "-a", "a.", "a;b", "a;b=\x7f", "a;=c", "a;b=c d", "ä"])
def test_what_breaks_the_grammar_allows_nobody(text):
    """RFC 8659 section 4.2."""
    with pytest.raises(MalformedRequest):
        read_issue_value(text)


def test_an_address_of_the_other_kind_is_tried(dns, serve, ask, look):
    """Nobody answers by IPv6, which is tried first."""
    dns.add(NAME, "AAAA", "::1")
    dns.add(NAME, "A", "127.0.0.1")
    web = serve(always(answer("200 OK", KEY_AUTHORIZATION.encode())))

    limits = {"http_port": web.port, "reachable": ("127.0.0.0/8", "::1/128")}
    verdict = look(ask(limits=limits))

    assert verdict.valid
    assert verdict.log[0] == f"resolved {NAME} to ::1, 127.0.0.1"
    assert verdict.log[1].startswith(f"cannot connect to ::1 port {web.port}")


def test_a_server_that_is_silent_about_ipv6_is_asked_for_ipv4(dns, ask, look):
    """Half of the time is left for it."""
    dns.silent.add((NAME, "AAAA"))
    dns.add(NAME, "A", "10.1.2.3")

    verdict = look(ask(limits={"timeout_seconds": 6}))

    assert "10.1.2.3 is private" in verdict.detail


@pytest.mark.parametrize("ending", [b"", b"\x00\x00\x29"])
def test_a_server_that_knows_no_edns_is_understood(dns, ask, look, ending):
    """Whether it would say so (RFC 6891 section 7) or its answer could not be read."""
    dns.add(f"_acme-challenge.{ask().identifier_value}", "TXT", f'"{DIGEST}"')
    dns.without_edns = ending

    assert look(ask("dns-01")).valid
    assert 1 == len(dns.asked)
