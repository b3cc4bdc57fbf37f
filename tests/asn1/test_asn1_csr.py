"""PKCS#10 requests: read with patience, never believed, refused with one sentence."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import HASHES, SIGNATURE_ALGORITHMS, default_algorithm
from pikaserver.asn1.csr import (
    assemble_csr,
    read_csr,
    read_csr_text,
    request_info,
    verify_possession,
)
from pikaserver.asn1.names import UPN, general_name_text

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
    "kind",
    [
        "rsa-2048",
        "ec-p256",
        "ec-p521",
        "ec-secp256k1",
        "ed25519",
        "ed448",
        "ml-dsa-44",
        "ml-dsa-87",
    ],
)
def test_a_request_is_read_as_it_stands(keys, spki_of, kind):
    """Every kind of key that signs; the octets are the client's."""
    names = [x509.DNSName("a.example"), x509.OtherName(UPN, b"\x0c\x05a@b.c")]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(SUBJECT)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret 4711")
    )
    octets = signed_natively(builder, keys[kind], kind)

    csr = read_csr(octets)

    verify_possession(csr)
    assert octets == csr.der
    assert x509.load_der_x509_csr(octets).tbs_certrequest_bytes == csr.tbs
    assert SUBJECT == csr.subject
    assert spki_of(keys[kind]) == csr.public_key
    assert ["dns:a.example", "upn:a@b.c"] == [general_name_text(name) for name in csr.names]
    assert "secret 4711" == csr.challenge_password
    assert [True, False] == sorted((e.critical for e in csr.extensions), reverse=True)
    assert "4711" not in repr(csr)


def test_a_request_without_attributes_is_read(made):
    """RFC 2986 wants the field; some clients leave it out."""
    for octets in (made(), made(tail=b"")):
        csr = read_csr(octets)
        verify_possession(csr)
        assert ((), (), None) == (csr.names, csr.extensions, csr.challenge_password)


def test_attributes_may_stand_in_any_order(made):
    """The client strongSwan does not sort them; the signature is over what it sent."""
    attributes = [extension_request(SAN), challenge(b"x")]

    first, second = made(*attributes), made(*reversed(attributes))

    for octets in (first, second):
        csr = read_csr(octets)
        verify_possession(csr)
        assert ["dns:a.b"] == [general_name_text(name) for name in csr.names]
        assert "x" == csr.challenge_password


def test_the_names_of_an_rdn_may_stand_in_any_order(made):
    """A multi-valued RDN is a SET OF, too."""
    pairs = [
        der.sequence(der.oid(f"2.5.4.{last}"), der.element(0x0C, value))
        for last, value in ((10, b"o"), (3, b"n"))
    ]
    octets = made(subject=der.sequence(der.element(0x31, *pairs)))

    csr = read_csr(octets)

    verify_possession(csr)
    assert {"n", "o"} == {attribute.value for attribute in csr.subject}


def test_old_windows_requests_are_read(made):
    """Windows before Vista has an OID of its own for extensionRequest."""
    csr = read_csr(made(extension_request(SAN, oid=MICROSOFT_REQUEST)))

    assert ["dns:a.b"] == [general_name_text(name) for name in csr.names]


def test_what_names_hold_is_not_changed(made):
    """NUL, line breaks and stars are read as they are: the names' policy judges them."""
    hostile = ["a\0b.example", "a\r\nb", "*", "-", "a..b"]
    san = x509.SubjectAlternativeName([x509.DNSName(text) for text in hostile])
    wish = der.sequence(der.oid("2.5.29.17"), der.octet_string(san.public_bytes()))
    subject = der.sequence(
        der.set_of(der.sequence(der.oid("2.5.4.3"), der.element(0x0C, b"evil\0.example")))
    )

    csr = read_csr(made(extension_request(wish), subject=subject))

    assert hostile == [name.value for name in csr.names]
    assert ["evil\0.example"] == [attribute.value for attribute in csr.subject]


def test_text_and_octets_are_told_apart(made):
    """PEM with both labels, DER, and what is neither."""
    octets = made()

    assert octets == read_csr_text(octets).der
    for label in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):
        assert octets == read_csr_text(der.write_pem(label, octets)).der
    twice = der.write_pem("CERTIFICATE REQUEST", octets) * 2
    for text in (twice, der.write_pem("CERTIFICATE", octets), b"hello"):
        with pytest.raises(MalformedRequest):
            read_csr_text(text)


@pytest.mark.parametrize("kind", ["rsa-2048", "ec-p384", "ed25519", "ml-dsa-65"])
def test_our_own_requests_are_those_of_the_native_builder(keys, spki_of, kind):
    """CertificationRequestInfo byte for byte, so any signer can make a CSR."""
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    extensions = [x509.Extension(constraints.oid, True, constraints)]  # noqa: FBT003 - cryptography's API
    for chosen in ([], extensions):
        builder = x509.CertificateSigningRequestBuilder().subject_name(SUBJECT)
        for extension in chosen:
            builder = builder.add_extension(extension.value, critical=extension.critical)
        native = x509.load_der_x509_csr(signed_natively(builder, keys[kind], kind))

        info = request_info(SUBJECT, spki_of(keys[kind]), chosen)

        assert native.tbs_certrequest_bytes == info
        assert native.public_bytes(Encoding.DER) == assemble_csr(
            info, default_algorithm(kind), native.signature
        )


def test_a_request_with_a_faulty_signature_is_not_assembled(keys, spki_of):
    """Nothing leaves that does not verify."""
    info = request_info(SUBJECT, spki_of(keys["ec-p256"]), [])

    for tbs, signature in ((info, bytes(70)), (der.null(), bytes(70))):
        with pytest.raises(SignatureFaulty):
            assemble_csr(tbs, "ecdsa-sha256", signature)
