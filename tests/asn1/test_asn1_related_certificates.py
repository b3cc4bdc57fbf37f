"""RFC 9763: what is written is read again, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.csr import request_info
from pikaserver.asn1.possession_statements import unsigned_request
from pikaserver.asn1.related_certificates import (
    RELATED_CERT_REQUEST,
    copied_attribute,
    read_related_extension,
    read_related_request,
    related_attribute,
    related_extension,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver.testing.throw_away import (
    ThrowAwayAuthority,
    distinguished_name,
    spki,
    throw_away_key,
)

AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
CA = ThrowAwayAuthority("Root", AT, CountedEntropy("related"))
KEY = spki(throw_away_key(CountedEntropy("related key")))


def asked(*attributes):
    return unsigned_request(request_info(distinguished_name("x"), KEY, [], *attributes))


@settings(deadline=None)
@given(st.integers(0, 1 << 36), st.binary(max_size=80))
def test_an_attribute_reads_as_written(seconds, signature):
    """The signature is over both fields, one after the other (section 3.1)."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    seen = []

    def sign(octets):
        seen.append(octets)
        return signature

    written = related_attribute(CA.certificate, moment, sign)

    read = read_related_request(asked(written))

    assert (moment, signature, seen[0]) == (read.at, read.signature, read.signed)
    assert x509.load_der_x509_certificate(CA.certificate).serial_number == read.serial
    assert written == copied_attribute(asked(written))
    assert b"" == copied_attribute(asked())


def test_a_single_place_is_read_like_a_list():
    """Some write a URI where a list belongs; nobody goes there."""
    value = der.sequence(
        der.sequence(distinguished_name("CA").public_bytes(), der.integer(7)),
        der.integer(0),
        der.element(0x16, b"https://ca.example/first"),
        der.bit_string(b"signature"),
    )
    written = der.sequence(der.oid(RELATED_CERT_REQUEST), der.set_of(value))

    assert 7 == read_related_request(asked(written)).serial


@given(value=st.binary(max_size=60))
def test_no_attribute_raises_anything_but_malformed_request(value):
    """Its octets come from strangers."""
    for octets in (der.octet_string(value), der.sequence(value[:8])):
        try:
            csr = asked(der.sequence(der.oid(RELATED_CERT_REQUEST), der.set_of(octets)))
        except MalformedRequest:
            continue
        with pytest.raises(MalformedRequest):
            read_related_request(csr)


def test_an_extension_fits_one_certificate():
    """SHA-256 of its DER."""
    bound = read_related_extension(related_extension(CA.certificate).value)

    assert bound.fits(CA.certificate)
    assert not bound.fits(altered(CA.certificate))


@given(value=st.binary(max_size=60))
def test_no_extension_raises_anything_but_malformed_request(value):
    """Nor does that of a certificate."""
    for octets in (value, der.sequence(value)):
        with pytest.raises(MalformedRequest):
            read_related_extension(octets)
