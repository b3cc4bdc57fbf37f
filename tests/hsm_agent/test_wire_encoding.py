"""Strict CBOR: each value has one encoding, and nothing else is read."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.wire.encoding import LARGEST, LONGEST_TEXT, decode, encode
from hsm_agent.wire.errors import WireError

VALUES = st.recursive(
    st.integers(0, LARGEST) | st.booleans() | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=40), inner, max_size=6)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_is_in_the_library_s_canonical_form(value):
    """Maps are sorted here, as RFC 8949 section 4.2.1 and the library have it."""
    assert cbor2.dumps(value, canonical=True) == encode(value)


@given(st.dictionaries(st.text(max_size=40), VALUES, min_size=2, max_size=6), st.randoms())
def test_a_map_in_another_order_is_refused(value, random):
    """The same map has one encoding, also within another one."""
    canonical = list(decode(encode(value)).items())
    items = random.sample(canonical, len(canonical))
    if items == canonical:
        items.reverse()
    octets = cbor2.dumps({"m": [dict(items)]})

    with pytest.raises(WireError):
        decode(octets)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1.0, -1, LARGEST + 1, 1 << 64, cbor2.CBORTag(24, b""), cbor2.undefined),
        *({1: b""}, {b"a": 1}, {True: 1}, {"x" * (LONGEST_TEXT + 1): 1}),
        *("x" * (LONGEST_TEXT + 1), "\U0001f511" * (LONGEST_TEXT // 4 + 1)),
    ],
)
def test_what_the_protocol_does_not_have_is_refused(value):
    """At the top, within a list and within a map."""
    for found in (value, [value], {"a": value}):
        with pytest.raises(WireError):
            decode(cbor2.dumps(found))


@pytest.mark.parametrize("text", ["x" * LONGEST_TEXT, "\U0001f511" * (LONGEST_TEXT // 4)])
def test_the_longest_texts_are_read(text):
    """Octets are counted, not characters."""
    assert text == decode(encode(text))


@given(st.binary(max_size=60))
def test_other_octets_are_refused_or_are_the_one_encoding(octets):
    """Whatever is read is written again as the same octets."""
    try:
        value = decode(octets)
    except WireError:
        return
    assert octets == encode(value)
