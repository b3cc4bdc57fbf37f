"""Names have one form; everything that is not in it is refused with a reason."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.naming.forms import dns_name, email_name, ip_name, upn_name, uri_name
from pikaserver.authority.naming.text import check_text

LABEL = "a" * 63


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("a-b.c1.example", "a-b.c1.example"),
        ("1.example.com", "1.example.com"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("xn--80aesfpebagmfblc0a.xn--p1ai", "xn--80aesfpebagmfblc0a.xn--p1ai"),
        (".".join([LABEL] * 3 + ["a" * 61]), ".".join([LABEL] * 3 + ["a" * 61])),
        ("*.example.com", "*.example.com"),
    ],
)
def test_dns_names_are_labels_in_lower_case(asked, got):
    """RFC 5280 section 4.2.1.6, RFC 5890 section 2.3.2.1."""
    assert got == dns_name(asked, wildcards=True)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("", "empty label"),
        (".", "empty label"),
        ("www.example.com.", "dot at its end"),
        (".example.com", "empty label"),
        ("a..example", "empty label"),
        (f"{LABEL}a.example", "longer than 63"),
        (".".join([LABEL] * 3 + ["a" * 62]), "longer than 253"),
        ("a_b.example", "letters, digits"),
        ("-a.example", "letters, digits"),
        ("a-.example", "letters, digits"),
        ("a b.example", "letters, digits"),
        ("a.example\n", "letters, digits"),
        ("a\x00.example", "letters, digits"),
        ("www.example.com\x00.evil.test", "letters, digits"),
        ("http://a.example", "letters, digits"),
        ("a.example:443", "letters, digits"),
        ("a@b.example", "letters, digits"),
        ("münchen.example", "letters, digits"),
        ("\uff57\uff57\uff57.example.com", "letters, digits"),
        ("www\u3002example.com", "letters, digits"),
        ("xn--pypal-4ve.com", "look-alike"),
        ("xn--a.example", "IDNA"),
        ("xn--ls8h.example", "IDNA"),
        ("ab--cd.example", "IDNA"),
        ("xn--www-.example", "IDNA|letters, digits"),
        ("localhost", "single label"),
        ("2130706433", "single label"),
        ("127.1", "looks like an IP"),
        ("127.0.0.1", "looks like an IP"),
        ("0x7f.1", "looks like an IP"),
        ("0x7f.0x1", "looks like an IP"),
        ("0177.0.0.01", "looks like an IP"),
        ("example.0x", "looks like an IP"),
        ("a.example.123", "looks like an IP"),
        ("*", "top-level"),
        ("*.com", "top-level"),
        ("*.*.example.com", "first label"),
        ("a.*.example.com", "first label"),
        ("w*.example.com", "first label"),
        ("*www.example.com", "first label"),
        ("*..example.com", "empty label"),
    ],
)
def test_other_dns_names_are_refused(asked, why):
    """No NUL, no white space, no underscore, no trailing dot, nothing resolvers read as IP."""
    with pytest.raises(RequestRejected, match=why):
        dns_name(asked, wildcards=True)


def test_wildcards_and_single_labels_are_allowed_one_by_one():
    """Both are off unless the rule says otherwise."""
    with pytest.raises(RequestRejected, match="wildcard; none are allowed"):
        dns_name("*.example.com")

    assert "localhost" == dns_name("localhost", single_labels=True)
    with pytest.raises(RequestRejected, match="looks like an IP"):
        dns_name("2130706433", single_labels=True)


@given(st.text(max_size=80))
def test_what_passes_is_ascii_and_passes_again(text):
    """No input raises anything but a refusal; the canonical form is its own canonical form."""
    try:
        name = dns_name(text, wildcards=True, single_labels=True)
    except RequestRejected:
        return

    assert name.isascii()
    assert name == dns_name(name, wildcards=True, single_labels=True)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.*")


@given(st.lists(st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z])?", fullmatch=True), min_size=2))
def test_plain_labels_make_a_name(labels):
    """The rule on letters, digits and hyphens refuses no ordinary name."""
    text = ".".join(label.replace("--", "-") for label in labels)
    if len(text) <= 253:
        assert text == dns_name(text)


@pytest.mark.parametrize("text", ["10.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "fe80::1"])
def test_an_ip_name_is_one_address(text):
    """RFC 5280 section 4.2.1.6: 4 or 16 octets."""
    assert text == ip_name(ip_address(text))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (ip_network("10.0.0.0/8"), "no mask"),
        (ip_network("10.0.0.1/32"), "no mask"),
        ("10.0.0.1", "no mask"),
        (ip_address("::ffff:10.0.0.1"), "ask for 10.0.0.1"),
        (ip_address(0), "not the address of a host"),
        (ip_address("::"), "not the address of a host"),
        (ip_address("224.0.0.1"), "not the address of a host"),
        (ip_address("ff02::1"), "not the address of a host"),
        (ip_address("255.255.255.255"), "not the address of a host"),
        (ip_address("240.0.0.1"), "not the address of a host"),
    ],
)
def test_networks_groups_and_disguises_are_no_ip_names(value, why):
    """A mask, a multicast group or IPv4 within IPv6 would match more, or other, than it shows."""
    with pytest.raises(RequestRejected, match=why):
        ip_name(value)


def test_an_email_keeps_its_local_part_and_lowers_its_domain():
    """RFC 5280 section 7.5: only the host part compares without case."""
    assert "Ann.O'Neil+x@example.com" == email_name("Ann.O'Neil+x@Example.COM")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@example.com",
        "ann",
        "ann@",
        "ann@localhost",
        "ann@example.com.",
        "annexample.com",
        "a b@example.com",
        '"a b"@example.com',
        ".ann@example.com",
        "ann.@example.com",
        "ann@[10.0.0.1]",
        "Ann <ann@example.com>",
        "änn@example.com",
        "ann@exämple.com",
        "ann\x00@example.com",
        "ann@*.example.com",
        "a" * 65 + "@example.com",
    ],
)
def test_other_mail_addresses_are_refused(text):
    """Mailboxes in plain ASCII only, the domain by the rule on DNS names."""
    with pytest.raises(RequestRejected):
        email_name(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("https://Example.com/A?b#c", "https://example.com/A?b#c"),
        ("HTTPS://example.com:8443", "https://example.com:8443"),
        ("spiffe://example.org/ns/a/sa/b", "spiffe://example.org/ns/a/sa/b"),
        ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",) * 2,
        ("opc.tcp://10.0.0.1:4840/", "opc.tcp://10.0.0.1:4840/"),
        ("https://[2001:db8::1]:1/", "https://[2001:db8::1]:1/"),
    ],
)
def test_uris_are_absolute(text, form):
    """RFC 3986 section 3: a scheme, and after // a host; these two compare without case."""
    assert form == uri_name(text).text
    assert form == uri_name(form).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "example.com",
        "https:",
        "https://",
        "https:///a",
        "https://ann@example.com/",
        "https://ann:secret@example.com/",
        "https://exam_ple.com/",
        "https://127.1/",
        "https://[::1/",
        "https://[::ffff:10.0.0.1]/",
        "https://example.com:x/",
        "https://example.com/ a",
        "https://example.com/a\n",
        "https://example.com/a/../b",
        "https://example.com/a/./b",
        "https://example.com/a/..",
        "https://example.com/%2e%2e/b",
        "https://example.com/a%2Fb",
        "https://example.com/a%00",
        "https://example.com/%73ecret",
        "https://example.com/a%7Eb",
        "https://example.com/%zz",
        "https://exämple.com/",
        "https://*.example.com/",
        "https://example.com\\@evil.test/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_other_uris_are_refused(text):
    """No user information, no hidden dots, no host that is not a name or an address."""
    with pytest.raises(RequestRejected):
        uri_name(text)


@given(st.text(max_size=60))
def test_no_text_breaks_a_reader_of_names(text):
    """Whatever a requester writes, the answer is a name or a refusal."""
    for read in (email_name, upn_name, uri_name):
        try:
            read(text)
        except RequestRejected:
            continue


def test_a_user_principal_name_may_have_letters_of_all_the_world():
    """Microsoft's UPN is a UTF8String; the realm keeps to the rule on DNS names."""
    assert "Zoë@example.com" == upn_name("Zoë@EXAMPLE.com")
    assert "ann@CORP".lower() == upn_name("ann@CORP", single_labels=True)
    for text in ("ann", "ann@", "@example.com", "a b@example.com", "a@b@example.com", "ann@CORP"):
        with pytest.raises(RequestRejected):
            upn_name(text)


@pytest.mark.parametrize("text", ["Ann Example", "Müller & Söhne", "日本語 かな カナ", "ÅÄÖ-7 (b)"])
def test_texts_of_people_pass(text):
    """All scripts are welcome, as long as one word keeps to letters that can be told apart."""
    check_text(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a\x00b", r"control character \(U\+0000\)"),
        ("a\nb", "control"),
        ("a\x7fb", "control"),
        ("a\u202eb", "invisible"),
        ("a\u200bb", "invisible"),
        ("\ufeffa", "invisible"),
        ("a\ue000", "private-use"),
        ("a\ud800", "surrogate"),
        ("a\u0378", "unassigned"),
        ("a\u2028b", "line separator"),
        ("a\u00a0b", "unusual white space"),
        (" a", "begins or ends"),
        ("a ", "begins or ends"),
        ("a  b", "two in a row"),
        ("u\u0308", "Form C"),
        ("p\u0430ypal", "CYRILLIC, LATIN"),
        ("\u0391BC", "GREEK, LATIN"),
        ("www\uff0eexample a\uff42", "FULLWIDTH"),
    ],
)
def test_hidden_and_look_alike_characters_are_refused(text, why):
    """What people read has to be what is there."""
    with pytest.raises(RequestRejected, match=why):
        check_text(text)
