"""The outermost tag of a request is no part of what is signed, and is looked at all the same."""

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.csr import check_possession, read_csr
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.throw_away import throw_away_key, throw_away_request


@pytest.mark.parametrize("tag", [0x31, 0x10, 0xA0, 0x24])
def test_a_request_is_a_sequence(tag):
    """RFC 2986 section 4.2: the same contents in anything else are no request."""
    octets = throw_away_request(throw_away_key(CountedEntropy()), "plc-21")
    read_csr(octets)

    with pytest.raises(MalformedRequest):
        read_csr(bytes([tag]) + octets[1:])
    with pytest.raises(MalformedRequest):
        check_possession(bytes([tag]) + octets[1:], instead=b"")
