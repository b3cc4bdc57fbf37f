"""The language of allow and deny rules: labels count, deny wins, wildcards stay inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import NameRules
from pikaserver.authority.naming.rules import allowed_by, denied_by, read_pattern

NAME = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){1,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("kind", "pattern", "yes", "no"),
    [
        ("dns", "*", ["a.example", "*.a.example"], []),
        ("dns", "example.com", ["example.com"], ["www.example.com", "evilexample.com"]),
        (
            "dns",
            "*.example.com",
            ["www.example.com", "a.b.example.com", "*.example.com", "*.b.example.com"],
            ["example.com", "evilexample.com", "www.example.com.evil.test", "*.com"],
        ),
        ("dns", "EXAMPLE.com", ["example.com"], []),
        ("dns", "localhost", ["localhost"], ["a.localhost"]),
        ("ip", "*", ["10.0.0.1", "::1"], []),
        ("ip", "10.0.0.0/8", ["10.0.0.1", "10.255.255.255"], ["11.0.0.1", "::a00:1"]),
        ("ip", "10.0.0.7", ["10.0.0.7"], ["10.0.0.8"]),
        ("ip", "2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "32.1.13.184"]),
        ("email", "ann@example.com", ["ann@example.com", "Ann@example.com"], ["bob@example.com"]),
        ("email", "*@example.com", ["bob@example.com"], ["bob@a.example.com", "b@evilexample.com"]),
        ("email", "*@*.example.com", ["bob@a.example.com"], ["bob@example.com"]),
        ("upn", "*@example.com", ["bob@example.com"], ["bob@corp"]),
        ("uri", "urn:uuid:*", ["urn:uuid:1"], ["urn:oid:1", "urm:uuid:1"]),
        ("uri", "urn:uuid:1", ["urn:uuid:1"], ["urn:uuid:12"]),
        ("uri", "spiffe:*", ["spiffe://a.example/b", "spiffe:x"], ["https://a.example/b"]),
        (
            "uri",
            "https://*.example.com",
            ["https://a.example.com", "https://a.example.com/b?c", "https://a.example.com:1/"],
            ["https://example.com", "http://a.example.com", "https://evilexample.com"],
        ),
        ("uri", "https://*", ["https://a.example/", "https://10.0.0.1/"], ["http://a.example/"]),
        ("uri", "https://a.example/b", ["https://a.example/b"], ["https://a.example/b/c"]),
        (
            "uri",
            "spiffe://a.example/ns/*",
            ["spiffe://a.example/ns/b"],
            ["spiffe://a.example/nsx", "spiffe://b.example/ns/b"],
        ),
    ],
)
def test_patterns_cover_what_they_say(kind, pattern, yes, no):
    """The table in the module's docstring, line by line."""
    found = read_pattern(kind, pattern)

    assert [] == [name for name in yes if not found.covers(name)]
    assert [] == [name for name in no if found.covers(name)]


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("dns", ""),
        ("dns", "**.example.com"),
        ("dns", "w*.example.com"),
        ("dns", "*.*.example.com"),
        ("dns", ".example.com"),
        ("dns", "exam_ple.com"),
        ("dns", "127.0.0.1"),
        ("dns", "münchen.example"),
        ("ip", "10.0.0.1/8"),
        ("ip", "10"),
        ("email", "example.com"),
        ("email", "@example.com"),
        ("email", "*@"),
        ("upn", "*@*"),
        ("uri", "example.com"),
        ("uri", "https:"),
        ("uri", "*://example.com"),
        ("uri", "https://example.com*"),
    ],
)
def test_what_is_no_pattern_is_refused(kind, pattern):
    """A rule that nobody can read must not stand in a template."""
    with pytest.raises(RequestRejected):
        read_pattern(kind, pattern)


@pytest.mark.parametrize(
    ("deny", "asked", "found"),
    [
        ("www.example.com", "*.example.com", True),
        ("a.www.example.com", "*.example.com", False),
        ("*.example.com", "*.example.com", True),
        ("*.www.example.com", "*.example.com", False),
        ("www.example.com", "*.other.com", False),
        ("www.example.com", "api.example.com", False),
        ("example.com", "*.example.com", False),
    ],
)
def test_a_wildcard_meets_every_name_that_it_stands_for(deny, asked, found):
    """A denied name cannot be had through a wildcard: the specific rule beats the general."""
    rules = NameRules("dns", ("*",), (deny,), wildcards=True, single_labels=False)

    assert found == (denied_by(rules, asked) is not None)
    assert "*" == allowed_by(rules, asked)


@given(NAME, NAME)
def test_below_means_below_by_labels(name, base):
    """No name ends in another by letters only."""
    pattern = read_pattern("dns", f"*.{base}")

    labels, base_labels = name.split("."), base.split(".")
    below = len(labels) > len(base_labels) and labels[-len(base_labels) :] == base_labels

    assert below == pattern.covers(name)


@given(NAME, NAME, st.booleans())
def test_deny_reaches_at_least_as_far_as_allow(name, base, below):
    """What an allow rule would cover, the same rule denies."""
    pattern = read_pattern("dns", f"*.{base}" if below else base)

    for asked in (name, f"*.{name}"):
        assert not pattern.covers(asked) or pattern.touches(asked)


@given(st.sampled_from(["dns", "ip", "email", "uri", "upn"]), st.text(max_size=30))
def test_no_text_breaks_the_reader_of_patterns(kind, text):
    """Templates are written by people; the answer is a pattern or a refusal."""
    try:
        read_pattern(kind, text)
    except RequestRejected:
        return
