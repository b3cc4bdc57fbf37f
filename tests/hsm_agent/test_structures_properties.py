"""Whatever the octets are, they are one structure, raw, or malformed; nothing else is raised."""

import tracemalloc

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.structures import algorithms, der, writing
from hsm_agent.structures.certificate import read_tbs_certificate
from hsm_agent.structures.classify import Malformed, classify, outline
from hsm_agent.structures.crl import read_tbs_cert_list
from hsm_agent.structures.csr import read_request_info
from hsm_agent.structures.kinds import KINDS, PROOF_LABEL
from hsm_agent.structures.ocsp import read_response_data
from hsm_agent.structures.signed_attributes import read_signed_attributes
from pikaserver.asn1 import der as their_der
from tests.hsm_agent import made_structures as made

READERS = (
    read_tbs_certificate,
    read_tbs_cert_list,
    read_response_data,
    read_request_info,
    read_signed_attributes,
)
VALID = (
    made.leaf(),
    made.ca(),
    made.root(),
    made.crl(3, [1, 2, 3]),
    made.answer(),
    made.csr(),
    made.scep(),
    made.stamped(made.tst_info()),
    made.tst_info(),
    PROOF_LABEL + bytes(32),
)


@st.composite
def mutated(draw):
    """Draw a valid structure in which a few octets were changed, put in or taken out."""
    octets = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(octets) - 1, 0)))
        size = draw(st.integers(0, 3))
        octets[at : at + size] = draw(st.binary(max_size=3))
    return bytes(octets)


ANYTHING = st.one_of(st.binary(max_size=200), mutated())
MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@MANY
@given(ANYTHING, st.one_of(st.just(b""), ANYTHING))
def test_classifying_never_crashes(octets, content):
    """It is one of the kinds, or `Malformed`."""
    try:
        kind = classify(octets, content).kind
    except Malformed:
        return

    assert kind in KINDS


@MANY
@given(ANYTHING)
def test_nothing_is_of_two_kinds(octets):
    """At most one reader takes it, and it is the one that classifying chose."""
    taken = []
    for reader in READERS:
        try:
            taken.append(reader(octets).kind)
        except Malformed:
            continue

    assert len(taken) <= 1
    if taken:
        assert taken == [classify(octets).kind]


@MANY
@given(st.sampled_from(VALID[:7]), st.data())
def test_a_changed_octet_changes_what_is_read_or_is_refused(octets, data):
    """No two octet strings are read as the same structure: there is one encoding of each."""
    at = data.draw(st.integers(0, len(octets) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != octets[at]))
    changed = octets[:at] + bytes([other]) + octets[at + 1 :]

    try:
        read = classify(changed)
    except Malformed:
        return

    assert repr(read) != repr(classify(octets))


@given(st.binary(max_size=300))
def test_the_patient_outline_never_crashes(octets):
    """It follows whatever lengths there are, and ends."""
    _, tags = outline(octets)

    assert len(tags) <= 4


def test_the_outline_of_nested_indefinite_lengths_is_linear():
    """A megabyte of nothing but beginnings is walked through once, without recursion."""
    octets = b"\x30\x80" * 500_000

    assert (0x30, (0x30,)) == outline(octets)


@given(st.integers(-(2**200), 2**200))
def test_integers_are_read_as_the_server_writes_them(number):
    """In two's complement of the fewest octets."""
    octets = their_der.integer(number)

    assert number == der.integer(octets, der.whole(octets, "number"), "a number")


@given(st.lists(st.integers(0, 2**40), max_size=8), st.integers(0, 2), st.integers(0, 39))
def test_object_identifiers_are_read_and_written_as_the_server_does(arcs, first, second):
    """The text in dots is the same on both sides."""
    dotted = ".".join(map(str, (first, second, *arcs)))
    octets = their_der.oid(dotted)

    assert octets == writing.oid(dotted)
    assert dotted == der.object_identifier(octets, der.whole(octets, "OID"), "an OID")


@given(st.datetimes(min_value=made.datetime(1950, 1, 1), timezones=st.just(made.UTC)))
def test_times_are_read_as_the_server_writes_them(moment):
    """UTCTime until 2049, GeneralizedTime from then on."""
    moment = moment.replace(microsecond=0)
    octets = their_der.time(moment)

    assert moment == der.time(octets, der.whole(octets, "time"), "a time")


@MANY
@given(
    st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda b: made.LEAF_SPKI[:40] + b))
)
def test_reading_public_keys_never_crashes(octets):
    """A name, or `Malformed`."""
    try:
        name = algorithms.key_type(octets)
    except Malformed:
        return

    assert name


def test_a_large_crl_is_streamed():
    """No list is made of the serials: the memory stays near that of the octets."""
    count = 40_000
    octets = made.crl(1, range(1 << 136, (1 << 136) + count))
    tracemalloc.start()
    try:
        read = classify(octets)
        assert count == read.revoked == sum(1 for _ in read.lasting())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(octets)
