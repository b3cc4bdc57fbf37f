"""Each lint on fields, subject and names finds its fault, and nothing in a good certificate."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from pikaserver.api.issuance import Severity
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.authority.linting import built_in_lints, lint
from pikaserver.authority.lints import alternative_names as san
from pikaserver.authority.lints import fields
from pikaserver.authority.lints import subject as sub

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of cryptography, on bad vectors

DUPLICATE = der.sequence(der.oid("2.5.29.14"), der.octet_string(der.octet_string(b"\x02" * 20)))
BROKEN = der.sequence(der.oid("2.5.29.37"), der.octet_string(b"\x05\x00\x00"))


def names(*values):
    return x509.SubjectAlternativeName(list(values))


def raw_name(*pairs):
    """Write a Name whose values cryptography would refuse to write."""
    return der.sequence(
        *(
            der.set_of(der.sequence(der.oid(oid), der.element(tag, value)))
            for oid, tag, value in pairs
        )
    )


def multi_valued():
    pair = [
        der.sequence(der.oid("2.5.4.3"), der.element(0x0C, b"a")),
        der.sequence(der.oid("2.5.4.11"), der.element(0x0C, b"b")),
    ]
    return der.sequence(der.set_of(*pair))


def leaf(**changes):
    return lambda c: (c.leaf(**changes), c.above)


def named(*values, **changes):
    return lambda c: (c.leaf(names=c.plain(names(*values)), **changes), c.above)


def root(**changes):
    return lambda c: (c.authority(**changes), None)


GOOD = leaf()
VECTORS = [
    (fields.VersionIsThree, GOOD, leaf(version=b"")),
    (fields.SerialIsPositive, leaf(serial=1), leaf(serial=-1)),
    (fields.SerialHasAtMostTwentyOctets, leaf(serial=2**159 - 1), leaf(serial=2**159)),
    (
        fields.SignatureAlgorithmsAgree,
        GOOD,
        leaf(outer=SIGNATURE_ALGORITHMS["ecdsa-sha384"].identifier),
    ),
    (fields.ValidityIsInOrder, leaf(days=0), leaf(days=-1)),
    (
        fields.TimesHaveTheirType,
        lambda c: (c.leaf(days=365 * 30), c.above),
        lambda c: (c.leaf(after=der.generalized_time(c.above.not_valid_after_utc)), c.above),
    ),
    (fields.NoUniqueIdentifiers, GOOD, leaf(unique=der.element(0x81, b"\x00\x01"))),
    (fields.ExtensionsReadable, GOOD, leaf(raw=DUPLICATE)),
    (fields.ExtensionsReadable, GOOD, leaf(purposes=None, raw=BROKEN)),
    (fields.EndsBeforeIssuer, leaf(days=3650), leaf(days=3651)),
    (
        fields.BeginsAfterIssuer,
        GOOD,
        lambda c: (
            c.leaf(before=der.time(c.above.not_valid_before_utc - timedelta(hours=1))),
            c.above,
        ),
    ),
    (sub.IssuerIsNotEmpty, GOOD, leaf(issuer=der.sequence())),
    (sub.IssuerIsTheSubjectAbove, root(), root(issuer=raw_name(("2.5.4.3", 0x0C, b"Other")))),
    (
        sub.IssuerIsTheSubjectAbove,
        GOOD,
        leaf(issuer=raw_name(("2.5.4.10", 0x13, b"Example"), ("2.5.4.3", 0x0C, b"Root"))),
    ),
    (sub.AuthorityHasASubject, root(), root(subject=der.sequence())),
    (sub.AttributesAreFit, GOOD, leaf(subject=raw_name(("2.5.4.3", 0x0C, b"x" * 65)))),
    (sub.AttributesAreFit, GOOD, leaf(subject=raw_name(("2.5.4.3", 0x0C, b"a\x00b")))),
    (sub.AttributesAreFit, GOOD, leaf(subject=raw_name(("2.5.4.5", 0x0C, b"a@b")))),
    (
        sub.CountriesHaveTwoLetters,
        lambda c: (c.leaf(subject=c.name(C="CH")), c.above),
        leaf(subject=raw_name(("2.5.4.6", 0x13, b"ch"))),
    ),
    (
        sub.StringsAreModern,
        GOOD,
        leaf(
            subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a", _ASN1Type.BMPString)])
        ),
    ),
    (sub.AttributesStandAlone, GOOD, leaf(subject=multi_valued())),
    (
        sub.AttributesStandAlone,
        leaf(subject=raw_name(("2.5.4.11", 0x0C, b"a"), ("2.5.4.11", 0x0C, b"b"))),
        leaf(subject=raw_name(("2.5.4.3", 0x0C, b"a"), ("2.5.4.3", 0x0C, b"b"))),
    ),
    (
        sub.NoEmailInSubject,
        GOOD,
        lambda c: (c.leaf(subject=c.name(emailAddress="ann@example.com")), c.above),
    ),
    (
        san.EmptySubjectNeedsCriticalNames,
        lambda c: (
            c.leaf(subject=der.sequence(), names=c.critical(names(x509.DNSName("a.example")))),
            c.above,
        ),
        leaf(subject=der.sequence()),
    ),
    (
        san.NamesBesideASubjectAreNotCritical,
        GOOD,
        lambda c: (c.leaf(names=c.critical(names(x509.DNSName("a.example")))), c.above),
    ),
    (
        san.NamesAreNotEmpty,
        GOOD,
        leaf(
            names=None,
            raw=der.sequence(der.oid("2.5.29.17"), der.octet_string(der.sequence())),
        ),
    ),
    (san.NamesAreUnique, GOOD, named(x509.DNSName("a.example"), x509.DNSName("a.example"))),
    (san.DnsNamesHaveTheirForm, named(x509.DNSName("*.a.example")), named(x509.DNSName("a_b.c"))),
    (san.DnsNamesHaveTheirForm, GOOD, named(x509.DNSName("*.*.a.example"))),
    (san.DnsNamesHaveADot, GOOD, named(x509.DNSName("localhost"))),
    (
        san.IpNamesAreOneAddress,
        named(x509.IPAddress(ip_network("10.0.0.1/32").network_address)),
        named(x509.IPAddress(ip_network("10.0.0.0/8"))),
    ),
    (
        san.EmailNamesAreMailboxes,
        named(x509.RFC822Name("ann@example.com")),
        named(x509.RFC822Name("ann@a_b.example")),
    ),
    (
        san.UrisAreAbsolute,
        named(x509.UniformResourceIdentifier("spiffe://example.com/a")),
        named(x509.UniformResourceIdentifier("/a")),
    ),
]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    VECTORS,
    ids=[f"{kind.__name__}-{at}" for at, (kind, _, _) in enumerate(VECTORS)],
)
def test_each_lint_finds_its_fault_and_no_other(certificates, kind, good, bad):
    """One good and one bad vector per rule; a finding is one sentence that cites its section."""
    rule = kind()

    findings = lint(*bad(certificates), [rule])

    assert () == lint(*good(certificates), [rule])
    assert [(kind.__name__, rule.citation)] == [(each.lint, each.citation) for each in findings]
    assert findings[0].text


def test_good_certificates_have_no_findings(certificates):
    """Neither the root nor the leaf that all vectors start from has any fault."""
    lints = built_in_lints(lambda: certificates.above.not_valid_before_utc)

    assert () == lint(certificates.above, None, lints)
    assert () == lint(certificates.leaf(), certificates.above, lints)


def test_errors_stand_before_warnings(certificates):
    """The one who reads the first finding reads why it was refused."""
    draft = certificates.leaf(ski=None, aki=None)

    findings = lint(draft, certificates.above, built_in_lints(lambda: draft.not_valid_before_utc))

    assert [Severity.ERROR, Severity.WARNING] == [finding.severity for finding in findings]


def test_there_are_enough_lints_and_each_cites_a_section():
    """One class, one rule, one citation."""
    lints = built_in_lints(lambda: None)

    assert 65 <= len(lints) == len({type(each) for each in lints})
    assert all("section" in each.citation or "appendix" in each.citation for each in lints)
