"""The DER writer and the strict gate."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from asn1crypto import core
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import children, dotted, read_element
from pikaserver.asn1.strict import LIMIT_DEPTH, LIMIT_ELEMENTS, LIMIT_OCTETS

moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
# Together at most 63 octets, which is as long as any OID may be.
arcs = st.lists(st.integers(0, 2**70), max_size=5)
oids = st.one_of(
    st.builds(lambda a, b, rest: [a, b, *rest], st.integers(0, 1), st.integers(0, 39), arcs),
    st.builds(lambda b, rest: [2, b, *rest], st.integers(0, 2**40), arcs),
).map(lambda numbers: ".".join(map(str, numbers)))


@given(st.integers())
def test_integers_are_what_asn1crypto_writes(number):
    """X.690 section 8.3: two's complement of the fewest octets."""
    assert core.Integer(number).dump() == der.integer(number)


@given(oids)
def test_oids_are_read_as_they_were_written(oid):
    """X.690 section 8.19, with arcs beyond 64 bits."""
    encoded = der.oid(oid)

    der.check(encoded)

    assert oid == dotted(encoded[slice(*der.content(encoded, 0))])


@given(oids.filter(lambda oid: len(oid) < 60))
def test_oids_are_what_asn1crypto_writes(oid):
    """The same octets as a second implementation."""
    assert core.ObjectIdentifier(oid).dump() == der.oid(oid)


@pytest.mark.parametrize(
    "text", ["", "1", "1.40", "3.1", "1.2.", "1..2", "1.02", "1.-1", "\u0661.2"]
)
def test_what_is_no_oid_is_refused(text):
    """An OID from a person is checked before it is written."""
    with pytest.raises(MalformedRequest):
        der.oid(text)


@given(moments)
def test_times_change_their_form_in_2050(moment):
    """RFC 5280 section 4.1.2.5."""
    encoded = der.time(moment)

    expected = core.UTCTime if 1950 <= moment.year < 2050 else core.GeneralizedTime
    assert moment == expected.load(encoded).native


def test_times_of_other_zones_become_utc():
    """RFC 5280 section 4.1.2.5.1: expressed in Greenwich Mean Time."""
    moment = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))

    assert b"\x17\x0d251231230000Z" == der.time(moment)


@given(st.binary(max_size=70_000), st.integers(0, 7))
def test_strings_are_what_asn1crypto_writes(octets, number):
    """Lengths of one, two and three octets."""
    assert core.OctetString(octets).dump() == der.octet_string(octets)
    assert core.OctetString(octets, implicit=number).dump() == der.context(
        number, octets, constructed=False
    )


@given(st.lists(st.binary(max_size=5).map(der.octet_string), max_size=6))
def test_a_set_is_sorted(elements):
    """X.690 section 11.6."""
    encoded = der.set_of(*elements)

    found = [encoded[part.at : part.end] for part in children(encoded)]

    assert sorted(elements) == found


@given(
    st.recursive(
        st.binary(max_size=9).map(der.octet_string) | st.integers().map(der.integer),
        lambda inner: st.lists(inner, max_size=4).map(lambda parts: der.sequence(*parts)),
    )
)
def test_what_we_write_passes_the_gate(encoded):
    """Writer and reader agree."""
    der.check(encoded)


@given(st.binary(max_size=200))
def test_no_octets_raise_anything_else(octets):
    """Any input is accepted or `MalformedRequest`."""
    try:
        der.check(octets)
    except MalformedRequest:
        return
    assert len(octets) == read_element(octets, 0).end


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "cut off"),
        ("30", "cut off"),
        ("3005020100", "past its container"),
        ("30800201000000", "indefinite"),
        ("3081030201 00".replace(" ", ""), "shortest"),
        ("308200030201 00".replace(" ", ""), "shortest"),
        ("3085000000000100", "unreadable length"),
        ("30820001", "past|shortest|unreadable"),
        ("3003020100 00".replace(" ", ""), "follow the end"),
        ("300402020001", "INTEGER that is not the shortest"),
        ("30040202ff80", "INTEGER that is not the shortest"),
        ("30020200", "INTEGER without octets"),
        ("3003010101", "BOOLEAN"),
        ("3003050100", "NULL with content"),
        ("30020600", "OBJECT IDENTIFIER that is cut off"),
        ("3003060181", "OBJECT IDENTIFIER that is cut off"),
        ("30050603558001", "not the shortest"),
        ("3004 0602 8001".replace(" ", ""), "not the shortest"),
        ("30020300", "unused bits"),
        ("3003030101", "unused bits"),
        ("300403020801", "unused bits"),
        ("300403020101", "not zero"),
        ("30042402 0400".replace(" ", ""), "in pieces"),
        ("30020000", "end-of-contents"),
        ("30021000", "not constructed"),
        ("3003 1f8101 ".replace(" ", ""), "tag number"),
    ],
)
def test_what_is_not_der_is_refused(octets, why):
    """X.690 sections 8 to 11, each with its own sentence."""
    with pytest.raises(MalformedRequest, match=why):
        der.check(bytes.fromhex(octets))


def test_size_depth_and_number_are_bounded():
    """The limits hold, and one beyond is refused before anything is parsed."""
    deep = der.null()
    for _ in range(LIMIT_DEPTH):
        deep = der.sequence(deep)
    many = der.sequence(*[der.null()] * (LIMIT_ELEMENTS - 1))
    large = der.octet_string(bytes(LIMIT_OCTETS - 4))

    for within in (deep, many, large):
        der.check(within)
    for beyond in (
        der.sequence(deep),
        der.sequence(*[der.null()] * LIMIT_ELEMENTS),
        der.octet_string(bytes(LIMIT_OCTETS - 3)),
        b"\x30\x80" * 10_000,
    ):
        with pytest.raises(MalformedRequest):
            der.check(beyond)


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["CERTIFICATE", "PKCS7"]))
def test_pem_is_read_as_it_was_written(octets, label):
    """RFC 7468."""
    text = b"before\n" + der.write_pem(label, octets) + b"after\n"

    assert [octets] == der.read_pem(text, label)
    assert all(len(line) <= 64 for line in text.splitlines())


def test_pem_passes_over_other_blocks():
    """OpenSSL writes EC PARAMETERS before a key, people paste chains."""
    text = (
        der.write_pem("EC PARAMETERS", b"a") + der.write_pem("X", b"b") + der.write_pem("X", b"c")
    )

    assert [b"b", b"c"] == der.read_pem(text, "X")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "found none"),
        (b"-----BEGIN Y-----\nAAAA\n-----END Y-----", "found Y"),
        (b"-----BEGIN X-----\nAAAA\n", "no end"),
        (b"-----END X-----", "should not"),
        (b"-----BEGIN X-----\nAAAA\n-----END Y-----", "should not"),
        (b"-----BEGIN X-----\n-----BEGIN X-----\nAAAA\n-----END X-----", "should not"),
        (b"-----BEGIN X-----\nA\n-----END X-----", "base64"),
        (b"-----BEGIN X-----\nAA$A\n-----END X-----", "base64"),
        (b"-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END X-----", "headers"),
    ],
)
def test_what_is_not_pem_is_refused(text, why):
    """Each with its own sentence."""
    with pytest.raises(MalformedRequest, match=why):
        der.read_pem(text, "X")


@given(
    st.binary(max_size=300)
    | st.text().map(lambda t: f"-----BEGIN X-----{t}-----END X-----".encode())
)
def test_no_text_raises_anything_else(text):
    """Any input is accepted or `MalformedRequest`."""
    try:
        der.read_pem(text, "X")
    except MalformedRequest:
        return


def test_hostile_pem_takes_no_time():
    """No quadratic search for an end that never comes."""
    text = b"-----BEGIN " * 90_000

    with pytest.raises(MalformedRequest):
        der.read_pem(text, "X")


def test_an_object_identifier_of_cryptography_is_the_same():
    """Both worlds name extensions alike."""
    oid = x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string

    assert bytes.fromhex("0603551d11") == der.oid(oid)
