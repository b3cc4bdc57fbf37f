"""Subjects: what looks like a name of another is refused, and patterns."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.policy.subject_patterns import read_pattern
from hsm_agent.policy.verdicts import Allowed, Denied
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.listed_names import BODY
from tests.hsm_agent.made_structures import leaf, rules


@pytest.fixture
def agent():
    """A key for some names of each kind."""
    return Agent(rules(["cert"], BODY))


@pytest.mark.parametrize(
    "subject",
    [
        "CN=www.example.com",
        "CN=*.example.com",
        "CN=10.0.0.1",
        "CN=alice@example.com",
        "CN=alice@ad.example.com",
        "CN=https://www.example.com/",
        "CN=Alice Example",
        "CN=device-4711",
        "CN=Dr. A. Example",
        "emailAddress=alice@example.com,CN=Alice",
        "O=evil.test",
        "",
    ],
)
def test_subjects_that_claim_nothing_foreign_are_signed(agent, subject):
    """A common name that is no name of a host or a mailbox says nothing to clients."""
    read = x509.Name.from_rfc4514_string(subject, {"emailAddress": x509.oid.NameOID.EMAIL_ADDRESS})

    assert isinstance(agent.ask(leaf(subject=read)), Allowed)


@pytest.mark.parametrize(
    "subject",
    [
        "CN=www.evil.test",
        "CN=evilexample.com",
        "CN=*.evil.test",
        "CN=evil.test.",
        "CN=WWW.EVIL.TEST",
        "CN=www\u3002evil\u3002test",
        "CN=\u00fcber.example",
        "CN=11.0.0.1",
        "CN=999.0.0.1",
        "CN=2001:db9::1",
        "CN=alice@evil.test",
        "CN=https://evil.test/",
        "CN=www.evil.test,CN=www.example.com",
        "CN=www.example.com,CN=www.evil.test",
        "emailAddress=alice@evil.test,CN=Alice",
    ],
)
def test_subjects_that_look_like_foreign_names_are_refused(agent, subject):
    """Old clients take a common name for the host when there is no other name, some always."""
    read = x509.Name.from_rfc4514_string(subject, {"emailAddress": x509.oid.NameOID.EMAIL_ADDRESS})

    verdict = agent.ask(leaf(subject=read))

    assert isinstance(verdict, Denied)
    assert "policy" == verdict.code


@given(st.text(max_size=40))
def test_a_subject_cannot_leave_its_pattern(text):
    """Whatever a common name holds, it stays one value below the same organisation."""
    try:
        subject = x509.Name(
            [
                x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "Example"),
                x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text),
            ]
        )
    except (ValueError, Warning):
        return

    assert read_pattern("CN=*,O=Example").matches(subject)
    assert read_pattern("*,O=Example").matches(subject)
    assert not read_pattern("CN=*,O=Other").matches(subject)
    assert not read_pattern("CN=*").matches(subject)


@pytest.mark.parametrize(
    ("pattern", "subject", "matches"),
    [
        ("CN=Issuing CA *,O=Example", "CN=Issuing CA 7,O=Example", True),
        ("CN=Issuing CA*,O=Example", "CN=Issuing CA,O=Example", True),
        ("CN=Issuing CA *,O=Example", "CN=issuing CA 7,O=Example", False),
        ("CN=Issuing CA *,O=Example", "CN=Issuing CA 7,OU=x,O=Example", False),
        ("*,O=Example,C=CH", "CN=a,OU=b,O=Example,C=CH", True),
        ("*,O=Example,C=CH", "O=Example,C=CH", True),
        ("*,O=Example,C=CH", "O=Other,C=CH", False),
        ("*,O=Example,C=CH", "C=CH", False),
        ("*", "", True),
        ("CN=a+OU=b", "OU=b+CN=a", True),
        ("CN=a+OU=b", "CN=a", False),
        ("CN=*.*", "CN=a.b", True),
        ("CN=*.*", "CN=ab", False),
    ],
)
def test_patterns_of_subjects(pattern, subject, matches):
    """A star is any part of one value."""
    assert matches is read_pattern(pattern).matches(made.name(subject))
