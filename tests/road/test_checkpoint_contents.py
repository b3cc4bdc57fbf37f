"""What stands in a checkpoint is read as written, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.authority.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from pikaserver.storage.audit import Head

HEADS = st.dictionaries(
    st.integers(1, 127),
    st.builds(Head, st.integers(0, 1 << 62), st.binary(min_size=32, max_size=32)),
)


@given(st.integers(0, 1 << 32), HEADS)
def test_a_checkpoint_is_read_as_written(seconds, heads):
    """In any order of nodes."""
    checkpoint = Checkpoint(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), heads)

    assert checkpoint == read_checkpoint(write_checkpoint(checkpoint))


@given(st.binary(max_size=80) | st.text(alphabet='{}[]":,atheds19', max_size=40).map(str.encode))
def test_no_octets_raise_anything_but_malformed_request(octets):
    """A file may hold anything."""
    with pytest.raises(MalformedRequest):
        read_checkpoint(octets)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":2'),
        (b"+00:00", b""),
        (b'"sequence":7', b'"sequence":-7'),
        (b'"sequence":7', b'"sequence":"7"'),
        (b"ff", b""),
    ],
)
def test_other_checkpoints_are_refused(old, new):
    """Each field is looked at."""
    good = write_checkpoint(
        Checkpoint(datetime(2026, 1, 1, tzinfo=UTC), {1: Head(7, b"\xff" * 32)})
    )

    with pytest.raises(MalformedRequest):
        read_checkpoint(good.replace(old, new, 1))
