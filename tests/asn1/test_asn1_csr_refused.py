"""PKCS#10 requests: what is refused, and with which sentence."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import HASHES, SIGNATURE_ALGORITHMS, default_algorithm
from pikaserver.asn1.csr import (
    LIMIT_OCTETS,
    read_csr,
    read_csr_text,
    verify_possession,
)
from pikaserver.asn1.elements import children
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.names import UPN

SUBJECT = x509.Name.from_rfc4514_string("CN=dev.example,O=Example,C=CH")
EXTENSION_REQUEST = der.oid("1.2.840.113549.1.9.14")
MICROSOFT_REQUEST = der.oid("1.3.6.1.4.1.311.2.1.14")
CHALLENGE_PASSWORD = der.oid("1.2.840.113549.1.9.7")
SAN = der.sequence(
    der.oid("2.5.29.17"),
    der.octet_string(x509.SubjectAlternativeName([x509.DNSName("a.b")]).public_bytes()),
)


def extension_request(*extensions, oid=EXTENSION_REQUEST):
    """One attribute with requested extensions."""
    return der.sequence(oid, der.set_of(der.sequence(*extensions)))


def challenge(value, tag=0x0C):
    """One challengePassword attribute."""
    return der.sequence(CHALLENGE_PASSWORD, der.set_of(der.element(tag, value)))


def signed_natively(builder, key, kind):
    """Sign with cryptography's own builder."""
    entry = SIGNATURE_ALGORITHMS[default_algorithm(kind)]
    csr = builder.sign(key, HASHES[entry.hash]() if entry.hash else None)
    return csr.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ([extension_request(SAN), extension_request(SAN)], "twice"),
        ([extension_request(SAN), extension_request(SAN, oid=MICROSOFT_REQUEST)], "twice"),
        ([extension_request(SAN, SAN)], "2.5.29.17 is there twice"),
        ([challenge(b"a"), challenge(b"b")], "twice"),
        ([der.sequence(EXTENSION_REQUEST, der.set_of())], "0 values"),
        ([der.sequence(CHALLENGE_PASSWORD, der.set_of(der.null(), der.null()))], "2 values"),
        ([der.sequence(EXTENSION_REQUEST, der.set_of(der.null()))], "cannot be read"),
        ([challenge(b"\xff")], "cannot be decoded"),
        ([challenge(b"\x00", 0x1E)], "cannot be decoded"),
        ([challenge(b"", 0x05)], "not a string"),
        ([der.sequence(EXTENSION_REQUEST)], "not an attribute"),
        ([der.null()], "not an attribute"),
        ([extension_request(der.sequence(der.oid("2.5.29.17"), der.octet_string(b"x")))], "read"),
        ([extension_request(der.sequence(der.oid("2.5.29.19"), der.null()))], "read"),
    ],
)
def test_contradictory_attributes_are_refused(made, attributes, why):
    """Nobody shall be able to choose which of two values is read."""
    with pytest.raises(MalformedRequest, match=why):
        read_csr(made(*attributes))


@pytest.mark.parametrize(
    ("tag", "value", "why"),
    [
        (0x0C, b"a" * 65, "65 octets"),
        (0x0C, b"", "0 octets"),
        (0x0C, b"\xff", "cannot be read"),
        (0x13, b"a_b*", "cannot be read"),
        (0x03, b"\x00a", "cannot be read"),
        (0x1E, b"\x00", "octets|cannot be read"),
    ],
)
def test_a_common_name_that_is_no_string_is_refused(made, tag, value, why):
    """RFC 5280 appendix A.1."""
    name = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.element(tag, value))))

    with pytest.raises(MalformedRequest, match=why):
        read_csr(made(subject=name))


def bent(octets, old, new):
    """Replace octets where they stand for the first time."""
    assert old in octets
    return octets.replace(old, new, 1)


def test_what_is_not_pkcs10_is_refused(made):
    """Truncated, trailing, BER, huge, deep, other versions and other structures."""
    good = made()
    info, algorithm, signature = (good[part.at : part.end] for part in children(good))
    cases = [
        good[:-1],
        good + b"\0",
        bent(good, b"\x30\x81", b"\x30\x80"),
        bent(good, b"\x02\x01\x00", b"\x02\x01\x01"),
        b"\x30\x80" * 20_000,
        bytes(LIMIT_OCTETS + 1),
        der.sequence(info, algorithm),
        der.sequence(info, algorithm, der.bit_string(b"\x80", 1)),
        der.sequence(info, algorithm, signature, der.null()),
        der.sequence(der.sequence(), algorithm, signature),
        made(tail=der.context(1, b"")),
        made(tail=der.context(0, b"") + der.null()),
        made(subject=der.null()),
        b"",
    ]
    for octets in cases:
        with pytest.raises(MalformedRequest):
            read_csr(octets)


def test_the_largest_request_is_read(made):
    """65,536 octets pass, one more does not."""
    filler = der.sequence(der.oid("1.2.3.4"), der.octet_string(bytes(65_000)))
    size = 65_000 + LIMIT_OCTETS - len(made(extension_request(filler)))
    sizes = []
    for octets in (size - 8, size, size + 8):
        wish = der.sequence(der.oid("1.2.3.4"), der.octet_string(bytes(octets)))
        request = made(extension_request(wish))
        sizes.append(len(request))
        if len(request) <= LIMIT_OCTETS:
            read_csr(request)
        else:
            with pytest.raises(MalformedRequest, match="octets"):
                read_csr(request)
    assert sizes[0] <= LIMIT_OCTETS < sizes[-1]


def test_possession_is_proved_by_the_signature(made, keys, spki_of):
    """A flipped octet, another key, another signature: no proof."""
    good = read_csr(made(challenge(b"x")))
    verify_possession(good)
    flipped = bytes([*good.signature[:-1], good.signature[-1] ^ 1])

    faulty = [
        good.der.replace(b"dev.example", b"dev.exbmple"),
        good.der.replace(good.signature, flipped),
        made(spki=spki_of(keys["ec-p384"])),
        made(spki=spki_of(keys["rsa-2048"])),
        made(spki=spki_of(keys["ml-dsa-44"])),
    ]
    for octets in faulty:
        with pytest.raises(MalformedRequest, match="not signed by the key"):
            verify_possession(read_csr(octets))


@pytest.mark.parametrize(
    ("algorithm", "why"),
    [
        (identifier("1.2.840.113549.1.1.5", der.null()), "SHA-1"),
        (identifier("1.2.840.113549.1.1.4", der.null()), "MD5"),
        (identifier("1.2.840.10045.4.1"), "SHA-1"),
        (identifier("2.16.840.1.101.3.4.3.32"), "HashML-DSA-44"),
        (identifier("2.16.840.1.101.3.4.3.17", der.null()), "ml-dsa-44 with parameters"),
    ],
)
def test_weak_and_forbidden_algorithms_prove_nothing(made, algorithm, why):
    """RFC 9881; security.md section 5."""
    good = made()
    info, _, signature = (good[part.at : part.end] for part in children(good))

    with pytest.raises(MalformedRequest, match=why):
        verify_possession(read_csr(der.sequence(info, algorithm, signature)))


def test_a_key_that_nobody_verifies_is_named(made):
    """HashSLH-DSA, HSS and curves that are spelt out."""
    spki = der.sequence(identifier("2.16.840.1.101.3.4.3.35"), der.bit_string(bytes(32)))

    with pytest.raises(MalformedRequest, match=r"2\.16\.840\.1\.101\.3\.4\.3\.35"):
        verify_possession(read_csr(made(spki=spki)))


def test_a_key_with_wrong_parameters_is_named(made):
    """RFC 9881 section 4: an ML-DSA key has no parameters, not even NULL."""
    spki = der.sequence(
        identifier("2.16.840.1.101.3.4.3.17", der.null()), der.bit_string(bytes(1312))
    )

    with pytest.raises(MalformedRequest, match="ml-dsa-44 with parameters"):
        verify_possession(read_csr(made(spki=spki)))


@pytest.mark.parametrize("octets", [64, 3000, 50_000])
def test_an_endless_oid_is_refused_wherever_it_stands(made, octets):
    """Python would not even write its arcs as text; that must not become a 500."""
    endless = der.element(0x06, b"\x2a" + b"\xff" * (octets - 2) + b"\x7f")
    good = made()
    info, _, signature = (good[part.at : part.end] for part in children(good))
    bent = [
        made(der.sequence(endless, der.set_of(der.null()))),
        made(spki=der.sequence(der.sequence(endless), der.bit_string(bytes(8)))),
        der.sequence(info, der.sequence(endless), signature),
    ]
    for csr in bent:
        with pytest.raises(MalformedRequest, match="more than 63 octets"):
            verify_possession(read_csr(csr))


@pytest.fixture(scope="module")
def request_with_everything(keys):
    """A request with names of many kinds."""
    names = [x509.DNSName("a.b"), x509.DirectoryName(SUBJECT), x509.OtherName(UPN, b"\x0c\x01a")]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(SUBJECT)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
    )
    return signed_natively(builder, keys["ec-p256"], "ec-p256")


@settings(max_examples=400)
@given(data=st.data())
def test_bent_requests_raise_nothing_else(request_with_everything, mutations, data):
    """Any input is read or `MalformedRequest`; what was changed proves nothing."""
    octets = data.draw(mutations(request_with_everything))
    try:
        csr = read_csr(octets)
        verify_possession(csr)
    except MalformedRequest:
        return
    assert csr.tbs in request_with_everything


@given(st.binary(max_size=300))
def test_random_octets_are_no_request(octets):
    """Any input is read or `MalformedRequest`."""
    for read in (read_csr, read_csr_text):
        with pytest.raises(MalformedRequest):
            read(octets)
