"""OCSP requests that are not what RFC 6960 says, and such that are merely unusual."""

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.ocsp import (
    ACCEPTABLE_RESPONSES,
    BASIC,
    NONCE,
    PREFERRED_SIGNATURE_ALGORITHMS,
    make_cert_id,
    write_extension,
)
from pikaserver.asn1.ocsp_requests import (
    LIMIT_OCTETS,
    read_request,
    write_request,
)
from tests.asn1.made_ocsp_requests import CERT_ID, ISSUER, SUBJECT, asked, tbs, with_extensions


@pytest.mark.parametrize(
    "value",
    [
        der.octet_string(b""),
        der.octet_string(b"n" * 129),
        der.octet_string(b"n" * 5000),
        b"naked",
        b"",
        der.octet_string(b"n") + b"\0",
        der.null(),
    ],
)
def test_other_nonces_are_malformed(value):
    """RFC 9654 section 2.1: neither empty nor longer; and an OCTET STRING."""
    with pytest.raises(MalformedRequest):
        read_request(with_extensions(write_extension(NONCE, value)))


@pytest.mark.parametrize(
    "extension",
    [
        write_extension(ACCEPTABLE_RESPONSES, der.oid(BASIC)),
        write_extension(ACCEPTABLE_RESPONSES, der.sequence(der.null())),
        write_extension(PREFERRED_SIGNATURE_ALGORITHMS, der.sequence(der.sequence())),
        write_extension(PREFERRED_SIGNATURE_ALGORITHMS, der.sequence(identifier("1.2.3"))),
        write_extension(PREFERRED_SIGNATURE_ALGORITHMS, der.null()),
    ],
)
def test_broken_extensions_are_malformed(extension):
    """A wish that cannot be read is not granted by guessing."""
    with pytest.raises(MalformedRequest):
        read_request(with_extensions(extension))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        der.sequence(),
        der.sequence(identifier("1.2.3")),
        der.sequence(identifier("1.2.3"), der.bit_string(b"\x80", 7)),
        der.sequence(identifier("1.2.3"), der.bit_string(b"x"), der.null()),
        der.sequence(der.sequence(der.null()), der.bit_string(b"x")),
    ],
)
def test_broken_signatures_are_malformed(signature):
    """Even where nobody would look at them."""
    with pytest.raises(MalformedRequest):
        read_request(der.sequence(der.sequence(asked()), der.context(0, signature)))


PARTS = (identifier("1.3.14.3.2.26"), der.octet_string(b"x" * 20), der.octet_string(b"x" * 20))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        der.sequence(der.sequence()),
        tbs(der.sequence()),
        tbs(asked(), asked()),
        tbs(asked(), der.context(3, b"")),
        tbs(der.context(2, der.sequence()), asked()),
        tbs(der.context(0, der.integer(0)), asked()),  # DER leaves a default out
        tbs(der.context(0, der.integer(1)), asked()),
        tbs(der.context(1, der.context(4, SUBJECT)), der.context(0, der.integer(0)), asked()),
        with_extensions(),
        with_extensions(write_extension("1.2.3", b""), write_extension("1.2.3", b"")),
        with_extensions(der.sequence(der.oid("1.2.3"), b"\x01\x01\x00", der.octet_string(b""))),
        with_extensions(der.sequence(der.oid("1.2.3"))),
        tbs(asked(cert_id=der.sequence(*PARTS))),
        tbs(asked(cert_id=der.sequence(*PARTS, b"\x02\x02\x00\x01"))),
        tbs(asked(cert_id=der.sequence(*PARTS, b"\x02\x00"))),
        tbs(asked(cert_id=der.sequence(*PARTS, der.integer(1), der.integer(1)))),
        tbs(asked(cert_id=der.sequence(der.null(), *PARTS[1:], der.integer(1)))),
        tbs(der.sequence(der.sequence(CERT_ID.der, der.null()))),
        tbs(der.sequence(der.null())),
        write_request([CERT_ID]) + b"\0",
        write_request([CERT_ID])[:-1],
        b"\x30\x80" + tbs(asked())[2:] + b"\0\0",  # BER
        b"\x30\x81" + tbs(asked())[1:],
        b"\x31" + tbs(asked())[1:],
    ],
)
def test_other_structures_are_malformed(octets):
    """Too little, too much, BER, or in another order."""
    with pytest.raises(MalformedRequest):
        read_request(octets)


def test_large_and_deep_requests_are_malformed():
    """Before anything is read from them."""
    large = with_extensions(write_extension("1.2.3", bytes(LIMIT_OCTETS)))
    deep = CERT_ID.der
    for _ in range(60):
        deep = der.sequence(deep)

    for octets in (large, tbs(deep)):
        with pytest.raises(MalformedRequest):
            read_request(octets)


@pytest.mark.parametrize("serial", [0, -1, 2**159, 2**160, 2**4000])
def test_serial_numbers_that_nobody_gives_out_are_read(serial):
    """Their certificates are unknown, which is an answer; the syntax is in order."""
    octets = write_request([make_cert_id(ISSUER, serial)])

    assert [serial] == [one.serial for one in read_request(octets).cert_ids]


def test_hashes_that_we_do_not_know_are_read():
    """Their issuers are none of ours, which is an answer."""
    cert_id = der.sequence(identifier("1.2.3"), der.octet_string(b"x"), PARTS[2], der.integer(5))

    (found,) = read_request(tbs(asked(cert_id=cert_id))).cert_ids

    assert (cert_id, 5) == (found.der, found.serial)
