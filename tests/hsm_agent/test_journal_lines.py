"""One line of the journal: one form, strictly read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.journal.line import (
    BEGINNING,
    LONGEST_LINE,
    BrokenLine,
    decode,
    encode,
    follow,
    line_hash,
    skim,
)
from hsm_agent.wire.messages import Mark

FIELDS = st.dictionaries(
    st.text(max_size=20),
    st.text(max_size=50) | st.integers() | st.booleans() | st.lists(st.text(max_size=9)),
    max_size=6,
)
CHAIN = {"event": "sign", "i": 1, "prev": "00" * 32, "ts": 1}


@given(FIELDS)
def test_what_is_written_is_read_again(fields):
    """Whatever a line holds, half surrogate pairs included, comes back as it was."""
    line = {**fields, **CHAIN}

    assert line == decode(encode(line))


@given(st.binary(max_size=300))
def test_other_octets_are_refused(octets):
    """Nothing but `BrokenLine` comes out of what somebody made up."""
    with pytest.raises(BrokenLine):
        decode(octets)


@given(st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=9))
def test_other_json_is_refused(value):
    """Lines hold texts, numbers, booleans and lists of texts, in a map."""
    with pytest.raises(BrokenLine):
        decode(json.dumps(value).encode())
    if value is not None and not isinstance(value, str | list):
        with pytest.raises(BrokenLine):
            decode(json.dumps({**CHAIN, "x": value}, sort_keys=True).encode())


@pytest.mark.parametrize(
    "octets",
    [
        encode({**CHAIN, "i": 0}),
        encode({**CHAIN, "i": True}),
        encode({**CHAIN, "ts": -1}),
        encode({**CHAIN, "ts": 10**15}),
        encode({**CHAIN, "prev": "00"}),
        encode({**CHAIN, "event": ""}),
        encode({"event": "sign", "i": 1, "ts": 1}),
        encode(CHAIN) + b" ",
        encode(CHAIN).replace(b",", b", "),
        encode(CHAIN).replace(b'"i":1', b'"i":1,"i":1'),
        encode({**CHAIN, "x": "y" * LONGEST_LINE}),
        b"[" * 60_000,
        b'{"i":' + b"1" * 5000 + b"}",
    ],
    ids=lambda octets: octets[:40].decode(),
)
def test_a_line_of_another_form_is_refused(octets):
    """One line has one form: a change that means nothing is a change all the same."""
    with pytest.raises(BrokenLine):
        decode(octets)


def test_a_line_continues_exactly_one_other():
    """Number and hash both have to fit; True is no 1."""
    first = encode(CHAIN)
    mark = Mark(1, line_hash(first))
    second = encode({**CHAIN, "i": 2, "prev": mark.head.hex()})

    assert mark == follow(BEGINNING, first)[0]
    assert Mark(2, line_hash(second)) == follow(mark, second)[0]
    with pytest.raises(BrokenLine, match="where 1 was to come"):
        follow(BEGINNING, second)
    with pytest.raises(BrokenLine, match="does not continue"):
        follow(Mark(1, bytes(32)), second)


@given(FIELDS, st.integers(1, 9), st.binary(min_size=32, max_size=32))
def test_skimming_finds_the_chain_as_reading_does(fields, index, head):
    """Texts that look like the fields of the chain, keys as well, do not count for them."""
    told = {**fields, 'x","i":1,"prev":"': f',"i":{index},"prev":"{head.hex()}","ts":1'}
    line = {**told, **CHAIN, "i": index + 1, "prev": head.hex()}
    octets = encode(line)

    assert skim(Mark(index, head), octets)[0] == follow(Mark(index, head), octets)[0]
    for other in (Mark(index - 1, head), Mark(index + 1, head), Mark(index, bytes(32))):
        if other.head != head or other.index != index:
            with pytest.raises(BrokenLine):
                skim(other, octets)
