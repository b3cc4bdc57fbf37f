"""Templates are documents: read strictly, written in full, compared rule by rule."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.authority.templates.documents import (
    LIMIT_OCTETS,
    diff,
    read_template,
    write_template,
)
from pikaserver.authority.templates.durations import LONGEST, write_duration
from pikaserver.authority.templates.starters import starter

SHORT = """
authority = "issuing"
doors = ["est"]
proofs = ["code"]
[subject]
from-request = ["CN"]
[key]
types = ["ec-p256"]
[validity]
period = "90d"
"""
AUTHORITY = starter("subca")


def read(document, name="web"):
    return read_template(document, name=name, version=1)


def test_a_short_document_gets_careful_defaults():
    """What is not said is not allowed."""
    template = read(SHORT)

    assert template.enabled
    assert not template.approval
    assert () == template.names
    assert "must-be-name" == template.subject.common_name
    assert timedelta(days=90) == template.validity.maximum
    assert not template.renewal.allowed
    assert frozenset() == template.client_authorities
    assert not template.usage.ca


def test_renewal_is_by_the_templates_own_authority_unless_told():
    """RFC 7030: a client certificate counts when its authority is one that the template names."""
    document = SHORT.replace('["code"]', '["code", "certificate"]')

    assert frozenset({"issuing"}) == read(document).client_authorities


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("doors", "dors", "dors is not an option; did you mean 'doors'?"),
        (
            "from-request",
            "from-requests",
            "subject.from-requests is not an option; did you mean 'from-request'?",
        ),
        ("[key]", "[keys]", "keys is not an option; did you mean 'key'?"),
        ('"90d"', "90", "validity.period should be a valid string"),
        ('"90d"', '"90"', "validity.period: '90' is not a duration"),
        ('"90d"', '"101y"', "validity.period: 101y is longer than 100y"),
        ('"90d"', '"1s"', "validity.period is shorter than a minute"),
        ("[key]", 'common-name = "fre"\n[key]', "subject.common-name should be 'free', "),
        ('"90d"', '"90d"\nmaximum = "1d"', "validity.maximum is shorter than validity.period"),
        ('"90d"', '"90d"\nmaximum = "1y"', "needs validity.overridable = true"),
        ('"90d"', '"90d"\nbackdate = "49h"', "validity.backdate is longer than 48h"),
        ('["est"]', "[]", "doors is empty"),
        ('["est"]', '["e/t"]', "doors: 'e/t' is not a name"),
        ('["code"]', "[]", "proofs is empty"),
        ('["code"]', '["code"]\nclient-authorities = ["a"]', "only with the proof 'certificate'"),
        ('"ec-p256"', '"ec-p265"', "key.types: 'ec-p265' is not a key type; did you mean"),
        ('"ec-p256"', "", "key.types is empty"),
        ('"CN"', '"CM"', "subject.from-request: 'CM' is not an attribute of subjects"),
        ('"CN"', "", "subject and names are both empty"),
        ("[key]", 'required = ["O"]\n[key]', "O is neither in from-request nor in fixed"),
        ("[key]", 'fixed = { CN = "a" }\n[key]', "subject.from-request: CN is fixed already"),
        ("[key]", 'fixed = { C = "ch" }\n[key]', "subject.fixed.C: a country is two capital"),
        ("[key]", 'fixed = { O = ["a", "b"] }\n[key]', "subject.fixed.O stands only once"),
        ("[key]", "fixed = { O = 1 }\n[key]", "subject.fixed.O should be a valid"),
        ("[key]", "[names]\nrequired = true\n[key]", "names.required needs a kind of names"),
        ("[key]", "[names]\nlimit = 0\n[key]", "names.limit: 0 is not between 1 and 1000"),
        ("[key]", "[names.dns]\nallow = []\n[key]", "names.dns.allow is empty"),
        ("[key]", '[names.dns]\nallow = ["a_b"]\n[key]', "names.dns.allow: the DNS name 'a_b'"),
        ("[key]", '[names.ip]\nallow = ["*"]\ndeny = ["x"]\n[key]', "names.ip.deny: 'x' is not an"),
        ("[key]", '[names.ip]\nallow = ["*"]\nwildcards = true\n[key]', "only in names.dns"),
        ("[key]", '[names.rid]\nallow = ["*"]\n[key]', "names.rid is not an option"),
        ("[key]", 'common-name = "becomes-name"\n[key]', "becomes-name needs names.dns"),
        ("[key]", 'common-name = "copy-first-name"\n[key]', "copy-first-name needs a kind"),
        ("[key]", '[usage]\nkey-usage = ["digitalSig"]\n[key]', "did you mean 'digitalSignature'?"),
        ("[key]", "[usage]\nca = true\n[key]", "usage.ca and keyCertSign"),
        ("[key]", '[usage]\nkey-usage = ["keyCertSign"]\n[key]', "usage.ca and keyCertSign"),
        ("[key]", "[usage]\npath-length = 0\n[key]", "usage.path-length stands only with"),
        ("[key]", '[usage]\npermitted-names = ["dns:a"]\n[key]', "permitted-names stands only"),
        ("[key]", '[usage]\nkey-usage = ["encipherOnly"]\n[key]', "without keyAgreement"),
        (
            "[key]",
            '[usage]\nkey-usage = ["keyEncipherment"]\n[key]',
            "ec-p256 keys can do none of keyEncipherment",
        ),
        (
            "[key]",
            '[usage]\nextended-key-usage = ["serverauth"]\n[key]',
            "'serverauth' is neither a known name nor a dotted OID; did you mean 'serverAuth'?",
        ),
        (
            "[key]",
            '[usage]\nkey-usage = ["nonRepudiation"]\nextended-key-usage = ["clientAuth"]\n[key]',
            "clientAuth with ec-p256 keys needs digitalSignature or keyAgreement",
        ),
        (
            "[key]",
            '[usage]\nextended-key-usage = ["timeStamping"]\n[key]',
            "timeStamping stands alone and is critical (RFC 3161 section 2.3)",
        ),
        ("[key]", "[usage]\nextended-key-usage-critical = true\n[key]", "stands only with"),
        ("[key]", "[extensions]\nocsp-no-check = true\n[key]", "only with OCSPSigning"),
        (
            "[key]",
            "[extensions]\nmust-staple = true\nocsp-url = false\n[key]",
            "must-staple needs extensions.ocsp-url = true (RFC 7633)",
        ),
        (
            "[key]",
            '[extensions]\ncustom-crl-urls = ["https://a.example/"]\n[key]',
            "'https://a.example/' is not an http:// or ldap:// URL",
        ),
        (
            "[key]",
            '[extensions]\ncrl-url = false\ncustom-crl-urls = ["http://a.example/"]\n[key]',
            "custom-crl-urls needs extensions.crl-url = true",
        ),
        ("[key]", '[extensions]\npolicies = ["1.x"]\n[key]', "'1.x' is not a dotted OID"),
        ("[key]", '[extensions]\npolicies = ["1.2", "1.2"]\n[key]', "stands there twice"),
        ("[key]", '[extensions]\ncps-url = "http://a.example"\n[key]', "needs extensions.policies"),
        ("[key]", "[renewal]\nallowed = true\n[key]", "renewal.allowed needs 'certificate'"),
        ("[key]", '[renewal]\nwindow = "90d"\n[key]', "renewal.window is not shorter"),
        ("[key]", "[key", "it is not TOML"),
        ("[key]", "[" * 5000, "it is not TOML"),
        ('"issuing"', '"issuing\ud800"', "not Unicode"),
        ('"issuing"', '"issuing"\nsignature-hash = "md5"', "signature-hash: 'md5' is not one of"),
        ('"issuing"', f'"issuing"\ndescription = "{"a" * LIMIT_OCTETS}"', "65536 are allowed"),
    ],
)
def test_one_sentence_says_what_is_wrong_and_where(old, new, why):
    """The template, the dotted key, the reason, and the spelling that was probably meant."""
    with pytest.raises(RequestRejected) as refusal:
        read(SHORT.replace(old, new, 1))

    assert str(refusal.value).startswith("template 'web': ")
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "Web", "a b", "-a", "a/b", "a" * 65, "ä"])
def test_a_name_fits_into_a_url(name):
    """Doors carry it in their paths: lower-case letters, digits and inner hyphens."""
    with pytest.raises(RequestRejected, match="a name is lower-case"):
        read(SHORT, name)


def test_an_authority_template_needs_a_subject():
    """RFC 5280 section 4.1.2.6."""
    assert read(AUTHORITY).usage.ca
    with pytest.raises(RequestRejected, match="required is empty"):
        read(AUTHORITY.replace('required = ["CN"]', "required = []"))


DURATIONS = st.integers(60, int(LONGEST.total_seconds())).map(lambda s: timedelta(seconds=s))
SOME = {"max_size": 3, "unique": True}


@st.composite
def documents(draw):
    """Draw documents that keep the rules, from all options."""
    period = draw(DURATIONS)
    shorts = draw(st.lists(st.sampled_from(["O", "OU", "CN", "serialNumber"]), **SOME))
    policies = draw(st.lists(st.from_regex(r"1\.2\.[1-9][0-9]{0,5}", fullmatch=True), **SOME))
    text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
    fixed = {short: "fixed value" for short in ("ST", "L") if draw(st.booleans())}
    lines = {
        "": {
            "description": draw(text),
            "enabled": draw(st.booleans()),
            "authority": draw(st.from_regex(r"[a-z]{1,9}", fullmatch=True)),
            "doors": draw(st.lists(st.sampled_from(["est", "api", "own"]), min_size=1)),
            "proofs": ["code", "certificate"],
            "approval": draw(st.booleans()),
        },
        "subject": {
            "from-request": [*shorts, "GN"],
            "required": draw(st.sampled_from([[], ["GN"], shorts])),
            "common-name": draw(st.sampled_from(["free", "must-be-name"])),
        },
        "subject.fixed": fixed,
        "names": {"required": False, "limit": draw(st.integers(1, 1000))},
        "key": {"types": draw(st.lists(st.sampled_from(sorted(KEY_TYPES)), min_size=1))},
        "usage": {
            "key-usage": ["digitalSignature"],
            "extended-key-usage": draw(
                st.lists(st.sampled_from(["serverAuth", "clientAuth", "1.2.3.4"]), **SOME)
            ),
        },
        "validity": {
            "period": write_duration(period),
            "maximum": write_duration(max(period, draw(DURATIONS))),
            "overridable": True,
            "backdate": draw(st.sampled_from(["0s", "90s", "48h"])),
        },
        "extensions": {"policies": policies, "must-staple": draw(st.booleans())},
        "renewal": {"allowed": draw(st.booleans()), "revoke-old": draw(st.booleans())},
    }
    if draw(st.booleans()):
        lines["names.dns"] = {"allow": ["*.example.com"], "deny": ["a.example.com"]}
    return "".join(
        f"[{table}]\n" * bool(table) + "".join(f"{key} = {_toml(keys[key])}\n" for key in keys)
        for table, keys in lines.items()
    )


def _toml(value):
    if isinstance(value, str):
        return (
            "'''" + value.replace("'", "") + "'''"
            if '"' in value or "\\" in value
            else f'"{value}"'
        )
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return str(value).lower()


@given(documents())
def test_what_we_write_we_read_again(document):
    """Export and import are each other's reverse, and a written document is complete."""
    template = read(document)

    written = write_template(template)

    assert template == read(written)
    assert written == write_template(read(written))
    assert "" == diff(document, written)


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text):
    """Whatever somebody uploads, the answer is a template or a refusal."""
    with pytest.raises(RequestRejected):
        read(text)


def test_a_difference_is_told_rule_by_rule():
    """Lists say what came and went, values from what to what; comments do not count."""
    new = (
        SHORT.replace('["ec-p256"]', '["ec-p384", "ed25519"]')
        .replace('"90d"', '"1y" # longer')
        .replace("[key]", '[names.dns]\nallow = ["*.example.com"]\n[key]')
        .replace("proofs", "approval = true\nproofs")
    )

    assert [
        "approval: false -> true",
        "key.types: +ec-p384, +ed25519, -ec-p256",
        "validity.period: 90d -> 1y",
        "validity.maximum: 90d -> 1y",
        "names.dns.allow: unset -> *.example.com",
        "names.dns.deny: unset -> ",
        "names.dns.wildcards: unset -> false",
        "names.dns.single-labels: unset -> false",
    ] == diff(SHORT, new).splitlines()
    assert "" == diff(SHORT, "# only a comment\n" + SHORT)
