"""OCSP requests: what RFC 6960 and RFC 9654 allow is read, everything else is refused."""

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.ocsp import (
    ACCEPTABLE_RESPONSES,
    BASIC,
    FORMS,
    PREFERRED_SIGNATURE_ALGORITHMS,
    SERVICE_LOCATOR,
    issuer_octets,
    make_cert_id,
    write_extension,
)
from pikaserver.asn1.ocsp_requests import (
    LIMIT_CERT_IDS,
    read_any,
    read_request,
    write_request,
)
from tests.asn1.made_ocsp_requests import (
    CERT_ID,
    SPKI,
    SUBJECT,
    asked,
    tbs,
    with_extensions,
)

cert_ids = st.builds(
    lambda form, serial: make_cert_id(issuer_octets(form, SUBJECT, SPKI), serial),
    st.integers(0, len(FORMS) - 1),
    st.integers(1, 2**159 - 1),
)
nonces = st.none() | st.binary(min_size=1, max_size=128)


@given(st.lists(cert_ids, min_size=1, max_size=LIMIT_CERT_IDS), nonces)
def test_what_is_written_is_read(asked_ids, nonce):
    """Several certificates, by any hash, with and without a nonce."""
    request = read_request(write_request(asked_ids, nonce))

    assert tuple(asked_ids) == request.cert_ids
    assert nonce == request.nonce
    assert request.signature is None


@given(cert_ids, nonces)
def test_the_quick_way_reads_what_the_patient_one_reads(cert_id, nonce):
    """One grammar, two readers: they agree on every usual request."""
    octets = write_request([cert_id], nonce)

    assert read_any(octets) == read_request(octets)


@pytest.mark.parametrize("nonce", [None, b"n" * 16])
def test_both_ways_agree_on_every_altered_request(nonce, mutations):
    """A shortcut that is more lenient than the reader would be a hole."""
    good = write_request([CERT_ID], nonce)

    @settings(max_examples=600)
    @given(mutations(good))
    def agree(octets):
        try:
            patient = read_any(octets)
        except MalformedRequest:
            patient = None
        try:
            found = read_request(octets)
        except MalformedRequest:
            found = None
        assert patient == found

    agree()


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_any_octets_are_read_or_refused(octets):
    """Nothing but MalformedRequest comes out."""
    try:
        read_request(octets)
    except MalformedRequest:
        return


def test_cryptography_writes_what_we_read(keys):
    """Its builder asks for one certificate, by SHA-1 or SHA-256."""
    name = x509.Name.from_rfc4514_string("CN=x")
    key = keys["ec-p256"]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name).public_key(key.public_key())
    certificate = builder.serial_number(77).not_valid_before(now).not_valid_after(now)
    made = certificate.sign(key, hashes.SHA256())
    for algorithm in (hashes.SHA1(), hashes.SHA256()):  # noqa: S303 - what clients send
        written = ocsp.OCSPRequestBuilder().add_certificate(made, made, algorithm)
        nonce = x509.OCSPNonce(b"0123456789abcdef")
        octets = written.add_extension(nonce, critical=False).build().public_bytes(Encoding.DER)

        request = read_request(octets)

        assert [77] == [one.serial for one in request.cert_ids]
        assert b"0123456789abcdef" == request.nonce


def test_issuers_are_named_by_the_hashes_of_rfc_6960():
    """Section 4.1.1: the Name's DER, and the key without tag, length and unused bits."""
    for form, (name, algorithm) in enumerate(FORMS):
        digest = [hashlib.new(name, octets).digest() for octets in (SUBJECT, bytes(range(32)))]

        octets = issuer_octets(form, SUBJECT, SPKI)

        assert algorithm + b"".join(der.octet_string(one) for one in digest) == octets


@pytest.mark.parametrize("size", [1, 16, 127, 128])
def test_nonces_of_1_to_128_octets_are_read(size):
    """RFC 9654 section 2.1."""
    assert size == len(read_request(write_request([CERT_ID], b"n" * size)).nonce)


def test_acceptable_responses_and_preferred_algorithms_are_read():
    """RFC 6960 sections 4.4.3 and 4.4.7.1, in the client's order."""
    ecdsa, rsa = identifier("1.2.840.10045.4.3.2"), identifier("1.2.840.113549.1.1.11", der.null())
    preferred = der.sequence(
        der.sequence(ecdsa), der.sequence(rsa, identifier("1.2.840.113549.1.1.1", der.null()))
    )

    request = read_request(
        with_extensions(
            write_extension(ACCEPTABLE_RESPONSES, der.sequence(der.oid(BASIC)), critical=True),
            write_extension(PREFERRED_SIGNATURE_ALGORITHMS, preferred),
        )
    )

    assert (BASIC,) == request.acceptable
    assert (ecdsa, rsa) == request.preferred


def test_a_service_locator_is_passed_over():
    """RFC 6960 section 4.4.6: it is for those who pass requests on."""
    locator = der.sequence(SUBJECT, der.sequence(der.sequence(der.oid("1.2.3"))))

    for value in (locator, der.sequence(SUBJECT)):
        extension = write_extension(SERVICE_LOCATOR, value, critical=True)
        assert (CERT_ID,) == read_request(tbs(asked(extension))).cert_ids

    for value in (der.sequence(), der.null(), der.sequence(der.null())):
        with pytest.raises(MalformedRequest):
            read_request(tbs(asked(write_extension(SERVICE_LOCATOR, value))))


@pytest.mark.parametrize("place", ["request", "single"])
def test_unknown_extensions_are_passed_over_unless_critical(place):
    """RFC 6960 section 4.4."""

    def request(*, critical):
        extension = write_extension("1.2.3.4", b"\x05\x00", critical=critical)
        return with_extensions(extension) if place == "request" else tbs(asked(extension))

    assert (CERT_ID,) == read_request(request(critical=False)).cert_ids
    with pytest.raises(MalformedRequest, match=r"critical extension 1\.2\.3\.4"):
        read_request(request(critical=True))


def test_a_requestors_name_is_read():
    """RFC 6960 section 4.1.2; only a directory name can be held against a certificate."""
    for name, expected in (
        (der.context(4, SUBJECT), SUBJECT),
        (der.context(2, b"a.example", constructed=False), None),
    ):
        assert expected == read_request(tbs(der.context(1, name), asked())).requestor
    for name in (b"", SUBJECT, der.context(4, SUBJECT) * 2, der.context(4, b"")):
        with pytest.raises(MalformedRequest):
            read_request(tbs(der.context(1, name), asked()))


def test_a_signature_is_kept_for_whoever_checks_it():
    """With the octets that it covers, and the certificates that came along."""
    inner = der.sequence(asked())
    algorithm = identifier("1.2.840.10045.4.3.2")
    certificates = der.context(0, der.sequence(der.sequence(der.integer(1)), der.sequence()))
    signature = der.sequence(algorithm, der.bit_string(b"sig"), certificates)

    found = read_request(der.sequence(inner, der.context(0, signature))).signature

    assert (inner, algorithm, b"sig") == (found.tbs, found.algorithm, found.signature)
    assert (der.sequence(der.integer(1)), der.sequence()) == found.certificates


def test_20_certificates_are_enough():
    """One more is refused."""
    assert LIMIT_CERT_IDS == len(read_request(write_request([CERT_ID] * 20)).cert_ids)
    with pytest.raises(MalformedRequest, match="more than 20"):
        read_request(write_request([CERT_ID] * 21))
