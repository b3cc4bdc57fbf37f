"""What comes out of an envelope is verified before it is read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import csr as csr_reading
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.asn1.csr import check_possession, read_csr
from pikaserver_scep.possession import read_request, stand_in
from tests.scep.device import Device

_RSA, _SHA256_WITH_RSA = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11"
_P256 = "1.2.840.10045.3.1.7"


def test_a_request_is_read():
    """As anywhere else."""
    csr = Device().csr("password")

    assert read_csr(csr) == read_request(csr, weak=frozenset())


def test_the_stand_in_is_a_request_that_proves_nothing():
    """It is read like any other one, and its signature is verified to the end."""
    assert "CN=nobody" == read_csr(stand_in()).subject.rfc4514_string()
    with pytest.raises(MalformedRequest, match="not signed by the key"):
        check_possession(stand_in(), instead=b"")


@pytest.mark.parametrize(
    "octets",
    [
        b"\x31\x00",
        der.sequence(),
        der.sequence(der.sequence(), der.sequence(), der.bit_string(b"")),
        Device().csr().replace(der.oid(_SHA256_WITH_RSA), der.oid("1.2.840.113549.1.1.4")),
        Device().csr().replace(der.oid(_SHA256_WITH_RSA), der.oid("1.2.840.113549.1.1.99")),
        Device().csr().replace(der.oid(_RSA), der.oid("1.2.840.113549.1.1.99")),
        Device(kind="ec-p256").csr().replace(der.oid(_P256), der.oid("1.2.840.10045.3.1.5")),
    ],
)
def test_a_stand_in_is_verified_for_what_cannot_be(octets, monkeypatch):
    """A set, an empty sequence, MD5, algorithms and curves that nobody knows."""
    verified = []
    monkeypatch.setattr(
        csr_reading,
        "verify",
        lambda *words, **more: verified.append(words) or verify(*words, **more),
    )
    with pytest.raises(MalformedRequest, match="not signed by the key"):
        read_request(octets, weak=frozenset())

    assert [read_csr(stand_in()).tbs] == [signed for _, _, _, signed in verified]


@example(b"\0")
@given(st.binary(max_size=200))
def test_octets_that_are_none_fail_like_a_signature_that_does_not_hold(octets):
    """With the same words, for the same was done."""
    with pytest.raises(MalformedRequest, match="not signed by the key") as failure:
        read_request(b"\x31" + octets, weak=frozenset())

    assert failure.value.__cause__ is None
