"""Requests, signed attributes and time-stamps that are not strictly what they look like."""

import pytest

from hsm_agent.structures.classify import Malformed, classify
from pikaserver.asn1 import der
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.made_structures import NOW
from tests.hsm_agent.structures_in_pieces import CRITICAL, indefinite, parts_of, put, rdn, text

CSR = made.csr()
WISH = parts_of(parts_of(CSR)[3])[0]
CHALLENGE = der.sequence(der.oid("1.2.840.113549.1.9.7"), der.set_of(der.element(0x0C, b"a")))
REQUESTS = {
    "version-2": put(CSR, 0, der.integer(1)),
    "no-attributes": put(CSR, 3),
    "more-fields": put(CSR, 3, parts_of(CSR)[3], der.null()),
    "attribute-twice": put(CSR, 3, der.context(0, WISH + WISH)),
    "not-sorted": put(CSR, 3, der.context(0, b"".join(sorted([WISH, CHALLENGE])[::-1]))),
    "type-twice": put(
        CSR,
        3,
        der.context(0, CHALLENGE + CHALLENGE.replace(b"\x0c\x01a", b"\x0c\x01b")),
    ),
    "attribute-garbage": put(CSR, 3, der.context(0, der.null())),
    "value-in-ber": put(
        CSR,
        3,
        der.context(0, der.sequence(*parts_of(CHALLENGE)[:1], der.set_of(b"\x30\x80\0\0"))),
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_is_not_strict_is_refused(case):
    """RFC 2986 section 4.1."""
    with pytest.raises(Malformed):
        classify(REQUESTS[case])


TYPE = made.attribute("1.2.840.113549.1.9.3", der.oid(made.DATA))
DIGEST = made.attribute("1.2.840.113549.1.9.4", der.octet_string(bytes(32)))
MORE = made.attribute("1.2.3", der.null())
ATTRIBUTES = {
    "not-sorted": der.element(0x31, DIGEST, TYPE),
    "twice": der.set_of(TYPE, DIGEST, MORE, made.attribute("1.2.3", der.integer(1))),
    "same-twice": der.element(0x31, *sorted([TYPE, DIGEST, MORE, MORE])),
    "no-value": der.set_of(TYPE, DIGEST, made.attribute("1.2.3")),
    "values-not-sorted": der.set_of(
        TYPE, DIGEST, der.sequence(der.oid("1.2.3"), der.element(0x31, b"\6\1*", b"\5\0"))
    ),
    "no-type": der.set_of(DIGEST, MORE),
    "no-digest": der.set_of(TYPE, MORE),
    "digest-20": made.attributes(made.DATA, bytes(20)),
    "digest-integer": der.set_of(TYPE, made.attribute("1.2.840.113549.1.9.4", der.integer(1))),
    "inner-ber": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\x30\x80\0\0")),
    "boolean-01": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\1\1\1")),
    "integer-padded": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\2\2\0\1")),
    "oid-padded": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\6\3*\x80\1")),
    "long-length": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\x30\x81\0")),
    "long-tag": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\x1f\0")),
    "oid-cut": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\6\1\x80")),
    "bits-8": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\3\2\x08\0")),
    "bits-not-zero": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\3\2\7\xff")),
    "null-content": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\5\1\0")),
    "string-in-pieces": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\x24\3\4\1a")),
    "primitive-sequence": der.set_of(TYPE, DIGEST, made.attribute("1.2.3", b"\x10\0")),
    "deep": der.set_of(
        TYPE,
        DIGEST,
        made.attribute("1.2.3", b"".join(b"\xa0" + bytes([n]) for n in range(80, -2, -2))),
    ),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_signed_attributes_that_are_not_strict_are_refused(case):
    """RFC 5652 sections 5.3 and 11; they are signed as DER."""
    with pytest.raises(Malformed):
        classify(ATTRIBUTES[case])


GOOD = made.tst_info()
IMPRINT = parts_of(GOOD)[2]
STAMPS = {
    "empty": der.sequence(),
    "version-2": put(GOOD, 0, der.integer(2)),
    "serial-zero": put(GOOD, 3, der.integer(0)),
    "utc-time": put(GOOD, 4, der.time(NOW)),
    "fraction-zero": put(GOOD, 4, der.element(0x18, b"20261122120000.50Z")),
    "fraction-comma": put(GOOD, 4, der.element(0x18, b"20261122120000,5Z")),
    "not-a-time": put(GOOD, 4, der.element(0x18, b"20261322120000Z")),
    "imprint-length": put(GOOD, 2, put(IMPRINT, 1, der.octet_string(bytes(31)))),
    "wrong-order": made.tst_info(der.integer(9), der.boolean(value=True)),
    "twice": made.tst_info(der.integer(9), der.integer(9)),
    "ordering-false": made.tst_info(der.boolean(value=False)),
    "unknown-field": made.tst_info(der.null()),
    "tsa-dns": made.tst_info(der.context(0, der.context(2, b"a", constructed=False))),
    "critical-extension": made.tst_info(der.context(1, CRITICAL)),
    "trailing": GOOD + b"\0",
    "indefinite": indefinite(GOOD),
}


@pytest.mark.parametrize("case", STAMPS)
def test_a_time_stamp_that_is_not_strict_is_refused(case):
    """RFC 3161 section 2.4.2; the attributes are the right ones for it."""
    with pytest.raises(Malformed):
        classify(made.stamped(STAMPS[case]), STAMPS[case])


def test_a_time_stamp_whose_hash_is_not_the_digest_is_refused():
    """Or another TSTInfo than the one that was checked would be signed."""
    with pytest.raises(Malformed, match="messageDigest"):
        classify(made.stamped(GOOD), made.tst_info(policy="1.2.3.5"))


def test_a_name_that_is_only_warned_of_elsewhere_is_refused():
    """Cryptography would write a warning of the process for each such structure."""
    with pytest.raises(Malformed, match="common name"):
        classify(put(CSR, 1, rdn(text("2.5.4.3", b""))))
