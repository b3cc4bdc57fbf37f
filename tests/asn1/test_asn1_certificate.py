"""Certificates: the captured octets are those that cryptography itself would sign."""

import ipaddress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import HASHES, SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import (
    assemble,
    builder_public_key,
    inner_algorithm,
    public_key_of,
    read_certificate,
    tbs,
    tbs_of,
    with_dummy_signature,
)
from pikaserver.asn1.identifiers import identifier

ISSUERS = [
    ("ec-p256", "ecdsa-sha256"),
    ("ec-p384", "ecdsa-sha384"),
    ("rsa-2048", "rsa-sha256"),
    ("rsa-2048", "rsa-pss-sha384"),
    ("ed25519", "ed25519"),
    ("ed448", "ed448"),
    ("ml-dsa-44", "ml-dsa-44"),
    ("ml-dsa-65", "ml-dsa-65"),
]
START = datetime(2026, 1, 1, tzinfo=UTC)

names = st.lists(
    st.builds(
        x509.NameAttribute,
        st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.SERIAL_NUMBER]),
        st.from_regex(r"[A-Za-z0-9 ]{1,16}", fullmatch=True),
    ),
    max_size=4,
).map(x509.Name)
moments = st.integers(-631_152_000, 7_258_118_400).map(  # 1950 to 2200
    lambda second: datetime.fromtimestamp(second, UTC)
)
general_names = st.one_of(
    st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True).map(x509.DNSName),
    st.integers(0, 2**32 - 1).map(lambda n: x509.IPAddress(ipaddress.IPv4Address(n))),
    names.map(x509.DirectoryName),
)
extensions = st.lists(
    st.one_of(
        st.lists(general_names, min_size=1, max_size=4).map(x509.SubjectAlternativeName),
        st.just(x509.BasicConstraints(ca=True, path_length=0)),
        st.just(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])),
        st.binary(min_size=20, max_size=20).map(x509.SubjectKeyIdentifier),
        st.binary(max_size=300).map(
            lambda v: x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), v)
        ),
    ),
    max_size=4,
    unique_by=lambda extension: extension.oid,
)


def signed_natively(builder, key, algorithm):
    """Return what cryptography signs by itself."""
    entry = SIGNATURE_ALGORITHMS[algorithm]
    hashed = HASHES[entry.hash]() if entry.hash else None
    if entry.family != "rsa-pss":
        return builder.sign(key, hashed)
    pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
    return builder.sign(key, hashed, rsa_padding=pss)


def plain_builder(public_key):
    """Return a builder that lacks nothing."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf.example")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")]))
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(START.replace(year=2027))
        .public_key(public_key)
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize(("kind", "algorithm"), ISSUERS)
@given(data=st.data())
def test_the_octets_are_those_of_the_native_builder(keys, kind, algorithm, data):
    """Capture and swap change nothing but the algorithm, for every kind of authority."""
    start, end = sorted(data.draw(st.tuples(moments, moments)))
    subject_key = keys[data.draw(st.sampled_from(["ec-p256", "rsa-2048", "ml-dsa-44"]))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(data.draw(names))
        .issuer_name(data.draw(names))
        .serial_number(data.draw(st.integers(1, 2**159 - 1)))
        .not_valid_before(start)
        .not_valid_after(end)
        .public_key(subject_key.public_key())
    )
    for value in data.draw(extensions):
        builder = builder.add_extension(value, critical=data.draw(st.booleans()))

    octets = tbs(builder, algorithm)

    native = signed_natively(builder, keys[kind], algorithm)
    assert native.tbs_certificate_bytes == octets
    assert native.tbs_certificate_bytes == tbs_of(native.public_bytes(Encoding.DER))
    assert native.public_bytes(Encoding.DER) == assemble(octets, algorithm, native.signature)


@pytest.mark.parametrize(("kind", "algorithm"), ISSUERS)
def test_an_assembled_certificate_verifies(keys, kind, algorithm):
    """The signature over our octets is a signature over the certificate."""
    builder = plain_builder(keys[kind].public_key())
    native = signed_natively(builder, keys[kind], algorithm)

    certificate = assemble(tbs(builder, algorithm), algorithm, native.signature)

    loaded = x509.load_der_x509_certificate(certificate)
    issuer = signed_natively(authority_builder(keys[kind]), keys[kind], algorithm)
    loaded.verify_directly_issued_by(issuer)


def authority_builder(key):
    """Return a builder for the issuer's own certificate."""
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    return (
        x509.CertificateBuilder()
        .subject_name(authority)
        .issuer_name(authority)
        .serial_number(2)
        .not_valid_before(START)
        .not_valid_after(START.replace(year=2030))
        .public_key(key.public_key())
    )


def test_a_certificate_with_another_algorithm_inside_is_not_assembled(keys):
    """RFC 5280 section 4.1.1.2: both fields name the same algorithm."""
    octets = tbs(plain_builder(keys["ec-p256"].public_key()), "ecdsa-sha256")

    assert "ecdsa-sha256" == inner_algorithm(octets)
    for tbs_octets, algorithm in ((octets, "ecdsa-sha384"), (octets[:-1], "ecdsa-sha256")):
        with pytest.raises(SignatureFaulty):
            assemble(tbs_octets, algorithm, bytes(70))


def test_any_public_key_can_be_certified():
    """SLH-DSA, ML-KEM and what comes next: the octets of the SPKI are carried as they are."""
    spki = der.sequence(identifier("2.16.840.1.101.3.4.3.20"), der.bit_string(bytes(32)))

    octets = tbs(plain_builder(builder_public_key(spki)), "ml-dsa-65")

    draft = with_dummy_signature(octets, "ml-dsa-65")
    assert spki == public_key_of(draft)
    with pytest.raises(MalformedRequest):
        builder_public_key(der.sequence(der.null()))


@pytest.mark.parametrize("algorithm", SIGNATURE_ALGORITHMS)
def test_a_draft_carries_the_octets_to_be_signed(keys, algorithm):
    """Lints see what will be signed, under a signature of zero octets."""
    octets = tbs(plain_builder(keys["ec-p256"].public_key()), algorithm)

    draft = with_dummy_signature(octets, algorithm)

    assert octets == draft.tbs_certificate_bytes
    assert not any(draft.signature)
    if SIGNATURE_ALGORITHMS[algorithm].octets:
        assert SIGNATURE_ALGORITHMS[algorithm].octets == len(draft.signature)


def test_an_incomplete_builder_says_what_is_missing(keys):
    """The mistake is ours, so it is not `MalformedRequest`."""
    with pytest.raises(ValueError, match="subject name"):
        tbs(x509.CertificateBuilder().public_key(keys["ec-p256"].public_key()), "ed25519")


@pytest.fixture(scope="module")
def certificate(keys):
    """A certificate with extensions of many kinds."""
    builder = plain_builder(keys["ec-p256"].public_key())
    everything = [
        x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.DirectoryName(x509.Name([]))]),
        x509.BasicConstraints(ca=True, path_length=1),
        x509.NameConstraints([x509.DNSName("example")], None),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),
        x509.AuthorityKeyIdentifier(b"k" * 20, [x509.DNSName("x")], 5),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["u"])]),
    ]
    for value in everything:
        builder = builder.add_extension(value, critical=False)
    return signed_natively(builder, keys["ec-p256"], "ecdsa-sha256").public_bytes(Encoding.DER)


@settings(max_examples=300)
@given(data=st.data())
def test_bent_certificates_raise_nothing_else(certificate, mutations, data):
    """Any input is read to the end or `MalformedRequest`."""
    octets = data.draw(mutations(certificate))
    try:
        loaded = read_certificate(octets)
    except MalformedRequest:
        return
    assert public_key_of(loaded)
    assert octets[: len(tbs_of(octets))] != tbs_of(octets)


@example(b"\0\2\0\0")
@given(st.binary(max_size=200))
def test_random_octets_are_no_certificate(octets):
    """Any input is read to the end or `MalformedRequest`."""
    for read in (read_certificate, tbs_of, inner_algorithm):
        with pytest.raises(MalformedRequest):
            read(octets)
