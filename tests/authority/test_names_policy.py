"""What of a request's names gets into a certificate, and what the trace says of it."""

from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.naming.names import subject_alternative_name, subject_names

DNS = '[names.dns]\nallow = ["*.example.com"]\ndeny = ["secret.example.com"]'
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def dns(*names):
    make = x509.DNSName._init_without_validation  # noqa: SLF001 - as requesters write them
    return tuple(make(name) for name in names)


def common_name(value):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, value)])


def parsed(text):
    return x509.Name.from_rfc4514_string(text)


def test_names_come_out_in_their_canonical_form(template, request_for):
    """Lower case, no repetitions, in the order in which they were asked for."""
    names = subject_names(
        template(names=DNS),
        request_for(*dns("B.example.com", "a.EXAMPLE.com", "b.example.com")),
        DecisionTrace(),
    )

    assert dns("b.example.com", "a.example.com") == names


@pytest.mark.parametrize(
    ("asked", "why", "rule"),
    [
        (
            "www.evil.test",
            "www.evil.test is not allowed by template 'web': allowed are *.example.com",
            "names.dns.allow",
        ),
        (
            "secret.example.com",
            "secret.example.com is not allowed by template 'web': denied is secret.example.com",
            "names.dns.deny",
        ),
        (
            "*.example.com",
            "the DNS name '*.example.com' is a wildcard; none are allowed",
            "names.dns",
        ),
    ],
)
def test_a_refusal_gives_the_reason_and_the_trace(template, request_for, asked, why, rule):
    """The requester reads what was asked, what is allowed, and by which template."""
    trace = DecisionTrace()

    with pytest.raises(RequestRejected) as refusal:
        subject_names(template(names=DNS), request_for(*dns("www.example.com", asked)), trace)

    assert why == str(refusal.value)
    assert [("names.dns.allow", True), (rule, False)] == [
        (decision.rule, decision.allowed) for decision in refusal.value.trace
    ]
    assert refusal.value.trace == trace.decisions


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (x509.IPAddress(ip_address("10.0.0.1")), "ip"),
        (x509.RFC822Name("ann@example.com"), "email"),
        (x509.UniformResourceIdentifier("https://a.example.com/"), "uri"),
        (x509.DirectoryName(parsed("CN=a")), "dirname"),
        (x509.RegisteredID(UPN), "rid"),
        (x509.OtherName(UPN, b"\x0c\x01a"), "upn"),
        (x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), "other"),
    ],
)
def test_a_kind_without_a_table_is_refused(template, request_for, name, kind):
    """What the template does not speak of is not allowed."""
    with pytest.raises(RequestRejected, match=f"names of kind {kind} are not allowed"):
        subject_names(template(names=DNS), request_for(name), DecisionTrace())


def test_each_kind_has_its_own_rules(template, request_for):
    """IP, e-mail, URI and UPN pass by the rules of their tables."""
    names = (
        x509.IPAddress(ip_address("10.0.0.1")),
        x509.RFC822Name("Ann@example.com"),
        x509.UniformResourceIdentifier("spiffe://example.com/a"),
        x509.OtherName(UPN, der.element(0x0C, "zoë@example.com".encode())),
    )
    rules = "".join(
        f'[names.{kind}]\nallow = ["{allow}"]\n'
        for kind, allow in (
            ("ip", "10.0.0.0/8"),
            ("email", "*@example.com"),
            ("uri", "spiffe:*"),
            ("upn", "*@example.com"),
        )
    )

    assert names == subject_names(template(names=rules), request_for(*names), DecisionTrace())


def test_a_user_principal_name_is_a_utf8string(template, request_for):
    """Another string type under Microsoft's OID is refused."""
    name = x509.OtherName(UPN, der.element(0x16, b"ann@example.com"))

    with pytest.raises(RequestRejected, match="UTF8String"):
        subject_names(
            template(names='[names.upn]\nallow = ["*"]'), request_for(name), DecisionTrace()
        )


def test_names_are_counted(template, request_for):
    """A request with more names than the template allows is refused before they are read."""
    rules = f"[names]\nlimit = 2\nrequired = true\n{DNS}"
    three = dns("a.example.com", "b.example.com", "c.example.com")

    assert three[:2] == subject_names(
        template(names=rules), request_for(*three[:2]), DecisionTrace()
    )
    with pytest.raises(RequestRejected, match="3 names were asked for; template 'web' allows 2"):
        subject_names(template(names=rules), request_for(*three), DecisionTrace())
    with pytest.raises(RequestRejected, match="requires a subject alternative name"):
        subject_names(template(names=rules), request_for(), DecisionTrace())


def test_names_are_critical_without_a_subject():
    """RFC 5280 section 4.2.1.6: then they are the only identity."""
    names = dns("a.example.com")

    assert subject_alternative_name(x509.Name([]), names).critical
    assert not subject_alternative_name(common_name("a"), names).critical
    assert subject_alternative_name(common_name("a"), ()) is None


@given(st.lists(st.text(max_size=20), max_size=4))
def test_whatever_is_asked_ends_in_names_or_a_refusal(template, request_for, texts):
    """No octets of a requester raise anything else, and all that passes is allowed."""
    try:
        names = subject_names(template(names=DNS), request_for(*dns(*texts)), DecisionTrace())
    except RequestRejected:
        return

    assert all(name.value.endswith(".example.com") for name in names)


@given(st.text(min_size=1, max_size=20))
def test_refusals_are_plain_ascii(template, request_for, text):
    """What a requester wrote is escaped before anybody's terminal or page shows it."""
    with pytest.raises(RequestRejected) as refusal:
        subject_names(template(names=DNS), request_for(*dns(f"{text}.test")), DecisionTrace())

    shown = [str(refusal.value), *(decision.asked for decision in refusal.value.trace)]
    assert all(line.isascii() and line.isprintable() for line in shown)
