"""No certificate leaves the subtrees of any CA above it (RFC 5280 section 4.2.1.10)."""

from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import UsageRules
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.naming.constraints import check_name_constraints, name_constraints
from pikaserver.authority.naming.subtrees import read_subtree

EMPTY = x509.Name([])
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


@pytest.fixture(scope="module")
def authority(certificates):
    """Make a CA certificate with these permitted and excluded subtrees."""

    def make(permitted=(), excluded=()):
        value = x509.NameConstraints(list(permitted) or None, list(excluded) or None)
        return certificates.authority(constraints=certificates.critical(value))

    return make


def named(text):
    """Return a name from its kind and text, or a subject from ``subject:``."""
    kind, _, value = text.partition(":")
    makers = {
        "dns": x509.DNSName,
        "email": x509.RFC822Name,
        "uri": x509.UniformResourceIdentifier,
        "ip": lambda value: x509.IPAddress(ip_address(value)),
        "upn": lambda value: x509.OtherName(UPN, b"\x0c\x01" + value[:1].encode()),
    }
    return makers[kind](value)


def passes(chain, *texts):
    """Say whether names, and a subject where one is given, are within the constraints."""
    subjects = [text.partition(":")[2] for text in texts if text.startswith("subject:")]
    subject = x509.Name.from_rfc4514_string(subjects[0]) if subjects else EMPTY
    names = [named(text) for text in texts if not text.startswith("subject:")]
    try:
        check_name_constraints(names, subject, chain, DecisionTrace())
    except RequestRejected:
        return False
    return True


# Base, names inside, names outside: the examples of RFC 5280 section 4.2.1.10 and their kin.
TABLE = [
    (
        "dns:host.example.com",
        ["dns:host.example.com", "dns:www.host.example.com", "dns:my.host.example.com"],
        ["dns:host1.example.com", "dns:example.com", "dns:evilhost.example.com"],
    ),
    ("dns:example.com", ["dns:*.example.com", "dns:EXAMPLE.com"], ["dns:*.com"]),
    ("email:root@example.com", ["email:root@example.com"], ["email:ann@example.com"]),
    ("email:example.com", ["email:ann@example.com"], ["email:ann@host.example.com"]),
    (
        "email:.example.com",
        ["email:ann@host.example.com"],
        ["email:ann@example.com", "email:ann@evilexample.com"],
    ),
    (
        "uri:host.example.com",
        ["uri:https://host.example.com/a", "uri:https://host.example.com:1/"],
        ["uri:https://www.host.example.com/", "uri:https://10.0.0.1/", "uri:urn:uuid:1"],
    ),
    (
        "uri:.example.com",
        ["uri:https://host.example.com/a", "uri:https://my.host.example.com/a"],
        ["uri:https://example.com/"],
    ),
    ("ip:10.9.8.0/24", ["ip:10.9.8.1", "ip:10.9.8.255"], ["ip:10.9.9.1", "ip:2001:db8::1"]),
    ("ip:2001:db8::/32", ["ip:2001:db8::1"], ["ip:2001:db9::1", "ip:10.0.0.1"]),
    (
        "dirname:O=Example,C=CH",
        ["subject:CN=a,O=Example,C=CH", "subject:CN=a,O=EXAMPLE,C=ch"],
        ["subject:CN=a,O=Other,C=CH", "subject:O=Example", "subject:CN=a,C=CH"],
    ),
    ("dns:example.com", ["subject:CN=www.example.com"], ["subject:CN=www.evil.test"]),
    (
        "email:example.com",
        ["subject:1.2.840.113549.1.9.1=ann@example.com"],
        ["subject:1.2.840.113549.1.9.1=ann@evil.test"],
    ),
]


@pytest.mark.parametrize(("base", "inside", "outside"), TABLE, ids=[row[0] for row in TABLE])
def test_names_stay_in_permitted_subtrees(authority, base, inside, outside):
    """With a permitted subtree of its form, a name is in one of them or refused."""
    chain = [authority(permitted=[read_subtree(base)])]

    assert [] == [text for text in inside if not passes(chain, text)]
    assert [] == [text for text in outside if passes(chain, text)]


@pytest.mark.parametrize(
    ("base", "inside"), [row[:2] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_names_stay_out_of_excluded_subtrees(authority, base, inside):
    """What a permitted subtree lets in, the same excluded subtree keeps out."""
    chain = [authority(excluded=[read_subtree(base)])]

    assert [] == [text for text in inside if passes(chain, text)]


@pytest.mark.parametrize(
    ("base", "asked", "passed"),
    [
        ("dns:www.example.com", "dns:*.example.com", False),
        ("dns:a.www.example.com", "dns:*.example.com", True),
        ("dns:example.com", "dns:*.example.com", False),
        ("dns:example.com", "dns:evilexample.com", True),
        ("dns:example.com", "email:ann@example.com", True),
        ("email:root@example.com", "email:ROOT@example.com", False),
        ("email:example.com", "email:ann@host.example.com", True),
        ("uri:example.com", "uri:urn:uuid:1", False),
        ("uri:example.com", "uri:https://10.0.0.1/", False),
        ("uri:example.com", "uri:https://other.com/", True),
        ("ip:10.0.0.0/8", "ip:2001:db8::1", True),
    ],
)
def test_in_doubt_an_excluded_subtree_is_met(authority, base, asked, passed):
    """A wildcard that could reach it, a URI whose host cannot be judged: refused."""
    assert passed == passes([authority(excluded=[read_subtree(base)])], asked)


def test_exclusion_beats_permission(authority):
    """RFC 5280: regardless of what appears in permittedSubtrees."""
    chain = [authority([read_subtree("dns:example.com")], [read_subtree("dns:secret.example.com")])]

    assert passes(chain, "dns:www.example.com")
    assert not passes(chain, "dns:a.secret.example.com")


def test_every_authority_above_counts(authority, certificates):
    """Constraints of the root bind two levels below, whatever the issuer itself says."""
    root = authority([read_subtree("dns:example.com")])
    issuing = authority([read_subtree("dns:a.example.com")])
    chain = [certificates.above, issuing, root]

    assert passes(chain, "dns:www.a.example.com")
    assert not passes(chain, "dns:www.b.example.com")
    assert not passes([certificates.above, root], "dns:www.evil.test")
    assert passes([certificates.above], "dns:www.evil.test")


def test_subtrees_speak_only_of_their_own_form(authority):
    """A permitted DNS subtree says nothing about addresses."""
    chain = [authority([read_subtree("dns:example.com")])]

    assert passes(chain, "ip:10.0.0.1", "email:ann@evil.test", "subject:CN=Ann,O=Evil")


def test_what_we_cannot_judge_is_refused(authority):
    """RFC 5280: process the constraint, or reject the certificate."""
    other = x509.OtherName(UPN, b"\x0c\x01a")

    assert not passes([authority(permitted=[other])], "upn:a")
    assert not passes([authority(excluded=[other])], "upn:b")
    another = x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    assert passes([authority(permitted=[another])], "upn:a")


def test_a_leading_dot_and_an_empty_base(authority):
    """Others write them: ``.example.com`` is what is below, the empty base is everything."""
    dotted, everything = x509.DNSName(".a.example"), x509.DNSName("")

    assert passes([authority(permitted=[dotted])], "dns:www.a.example")
    assert not passes([authority(permitted=[dotted])], "dns:a.example")
    assert not passes([authority(excluded=[dotted])], "dns:a.example")
    assert passes([authority(permitted=[everything])], "dns:www.evil.test")
    assert not passes([authority(excluded=[everything])], "dns:www.evil.test")


def test_the_reason_names_the_authority_and_the_trace_tells(authority):
    """The requester reads which CA forbids what."""
    trace = DecisionTrace()

    with pytest.raises(RequestRejected) as refusal:
        check_name_constraints(
            [x509.DNSName("www.evil.test")],
            EMPTY,
            [authority([read_subtree("dns:example.com")])],
            trace,
        )

    assert (
        "dns:www.evil.test is outside the name constraints of 'CN=Root,O=Example': dns:example.com"
        == str(refusal.value)
    )
    assert [("name-constraints", False)] == [(each.rule, each.allowed) for each in trace.decisions]


def test_a_template_writes_its_subtrees_critically():
    """RFC 5280 section 4.2.1.10: the extension must be critical."""
    usage = UsageRules(
        key_usage=("keyCertSign",),
        extended_key_usage=(),
        extended_key_usage_critical=False,
        ca=True,
        path_length=0,
        permitted_names=("dns:example.com", "ip:10.0.0.0/8"),
        excluded_names=("email:.evil.test",),
    )

    extension = name_constraints(usage)

    assert extension.critical
    assert ["example.com", "10.0.0.0/8"] == [
        str(base.value) for base in extension.value.permitted_subtrees
    ]
    assert [".evil.test"] == [base.value for base in extension.value.excluded_subtrees]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "dns:",
        "dns:a_b",
        "ip:10.0.0.1/8",
        "ip:x",
        "email:a b",
        "uri:https://a.example",
        "dirname:x",
        "rid:1.2.3",
        "upn:*@example.com",
    ],
)
def test_what_is_no_subtree_is_refused(text):
    """Templates are checked when they are written, not when they are used."""
    with pytest.raises(RequestRejected):
        read_subtree(text)


LABELS = st.lists(st.sampled_from(["a", "b", "www", "example"]), min_size=2, max_size=4)


@given(LABELS, LABELS, st.booleans())
def test_no_name_is_both_within_and_untouched(authority, name, base, wildcard):
    """A name that one CA permits, a CA that excludes the same subtree refuses."""
    asked = f"dns:{'*.' * wildcard}{'.'.join(name)}"
    subtree = read_subtree(f"dns:{'.'.join(base)}")

    permitted = passes([authority(permitted=[subtree])], asked)
    unexcluded = passes([authority(excluded=[subtree])], asked)

    assert not (permitted and unexcluded)
    assert permitted == (name[-len(base) :] == base)
