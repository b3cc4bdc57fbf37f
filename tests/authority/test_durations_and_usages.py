"""Durations as people write them, and which keys can serve which usages."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.authority.naming.attributes import ATTRIBUTES
from pikaserver.authority.templates.durations import LONGEST, read_duration, write_duration
from pikaserver.authority.templates.usages import EXTENDED_KEY_USAGES, key_usage, usages_of


@given(st.integers(0, int(LONGEST.total_seconds())))
def test_durations_are_read_as_written(seconds):
    """The largest unit that divides it is the one that people would choose."""
    duration = timedelta(seconds=seconds)

    assert duration == read_duration(write_duration(duration))


@pytest.mark.parametrize(
    "text", ["", "d", "90", "-1d", "1.5d", "1D", "1d1h", " 1d", "\uff11d", "9" * 20 + "s"]
)
def test_other_durations_are_refused(text):
    """One number, one unit."""
    with pytest.raises(RequestRejected):
        read_duration(text)


@pytest.mark.parametrize("key_type", sorted(KEY_TYPES))
def test_a_key_gets_the_usages_that_it_can_serve(key_type):
    """One template serves all kinds of keys: RFC 3279, RFC 5480, RFC 8410, RFC 9881."""
    wanted = ["digitalSignature", "keyEncipherment", "keyAgreement"]

    usage = key_usage(wanted, key_type)

    assert usage.digital_signature
    assert usage.key_encipherment == key_type.startswith("rsa-")
    assert usage.key_agreement == key_type.startswith("ec-")
    assert key_usage([], key_type) is None
    assert not usages_of(key_type).isdisjoint(wanted)


def test_the_tables_are_sound():
    """Names are unique in both directions."""
    assert len(set(EXTENDED_KEY_USAGES.values())) == len(EXTENDED_KEY_USAGES)
    assert len({attribute.oid for attribute in ATTRIBUTES.values()}) == len(ATTRIBUTES)
