"""Forged CSRs at the EST door: a clear 4xx in plain text, nothing issued, no use spent."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver.asn1.cms import read_certificates_only
from tests.fuzz import seeds
from tests.fuzz.mutation import Mutator
from tests.hostile.forging import (
    BASIC_CONSTRAINTS,
    BMP,
    CHALLENGE_PASSWORD,
    COMMON_NAME,
    DEVICE,
    EXTENSION_REQUEST,
    IA5,
    MICROSOFT_REQUEST,
    PUBLIC_KEY,
    UNIVERSAL,
    UPN,
    attribute,
    attribute_value,
    dns,
    extension,
    forged,
    names,
    nested,
    signed,
    subject,
    truncations,
    wishes,
    with_names,
)

GOOD = with_names(dns("plc-21.example"))
"""250 to 252 octets, so that its length takes two of them."""
TRUE, ONE = b"\x01\x01\xff", b"\x01\x01\x01"
CA_TRUE = extension(BASIC_CONSTRAINTS, der.sequence(TRUE), critical=TRUE)
TEXT = der.element(0x0C, b"root@example.com")
P256 = "1.2.840.10045.3.1.7"


def spki(private_key):
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def rsa_key(modulus, exponent=65537):
    algorithm = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null())
    numbers = der.sequence(der.integer(modulus), der.integer(exponent))
    return der.sequence(algorithm, der.bit_string(numbers))


def ec_key(point, *parameters):
    algorithm = der.sequence(der.oid("1.2.840.10045.2.1"), *(parameters or (der.oid(P256),)))
    return der.sequence(algorithm, der.bit_string(point))


def raw_key(oid, octets):
    return der.sequence(der.sequence(der.oid(oid)), der.bit_string(octets))


def common_name(value, tag=0x0C):
    return forged(name=subject(attribute_value(COMMON_NAME, value, tag)))


ENCODINGS = {
    "empty": b"",
    "a zero": b"\x00",
    "noise": bytes(range(256)),
    "indefinite length": b"\x30\x80" + GOOD[3:] + b"\x00\x00",
    "a longer length than needed": b"\x30\x82\x00" + GOOD[2:],
    "a length of 4 GiB": b"\x30\x84\xff\xff\xff\xff" + GOOD[3:],
    "octets behind": GOOD + b"\x00",
    "twice": GOOD + GOOD,
    "a list of two": der.sequence(GOOD, GOOD),
    "a padded INTEGER": forged(version=b"\x02\x02\x00\x00"),
    "version 2": forged(version=der.integer(1)),
    "a negative version": forged(version=der.integer(-1)),
    "no version": signed(der.sequence(DEVICE, PUBLIC_KEY)),
    "a BOOLEAN of 01": forged(wishes(extension(BASIC_CONSTRAINTS, der.sequence(), critical=ONE))),
    "a FALSE that DER leaves out": forged(
        wishes(extension(BASIC_CONSTRAINTS, der.sequence(), critical=b"\x01\x01\x00"))
    ),
    "a string in pieces": common_name(der.octet_string(b"a"), 0x2C),
    "33 levels": forged(attribute("1.2.3", nested(33))),
    "900 levels": forged(attribute("1.2.3", nested(900))),
    "10,000 levels": nested(10_000),
    "5000 elements": forged(
        *[der.sequence(der.oid("1.2.3"), der.element(0x31, der.null()))] * 1300
    ),
    "an extensionRequest without values": forged(attribute(EXTENSION_REQUEST)),
    "an attribute that is none": forged(der.null()),
    "a certificate": seeds.certificates()[0],
    "no signature": der.sequence(der.sequence(), der.sequence(), der.bit_string(b"")),
}
CONTRADICTIONS = {
    "two extensionRequests": forged(
        wishes(names(dns("a.example"))), wishes(names(dns("b.example")))
    ),
    "one of each kind": forged(
        wishes(names(dns("a.example"))), wishes(names(dns("b.example")), oid=MICROSOFT_REQUEST)
    ),
    "an extensionRequest of two values": forged(
        attribute(EXTENSION_REQUEST, der.sequence(names(dns("a.example"))), der.sequence())
    ),
    "two subjectAltNames": forged(wishes(names(dns("a.example")), names(dns("b.example")))),
    "a subjectAltName that is none": forged(wishes(extension("2.5.29.17", b"\x05\x00"))),
    "a challengePassword twice": forged(*[attribute(CHALLENGE_PASSWORD, TEXT)] * 2),
}
NAMES = {
    "a NUL": dns("www.example.com\0.evil.example"),
    "a line end": dns("www.example.com\r\n"),
    "nothing": dns(""),
    "a dot": dns("."),
    "a dot at the end": dns("www.example.com."),
    "an empty label": dns("www..example.com"),
    "a blank": dns("www example.com"),
    "an underscore": dns("_acme.example.com"),
    "a hyphen first": dns("-a.example.com"),
    "a Cyrillic letter": dns("w\u0430w.example.com"),
    "a full-width letter": dns("\uff57ww.example.com"),
    "an ideographic full stop": dns("www\u3002example.com"),
    "a zero-width space": dns("www\u200b.example.com"),
    "Latin-1": dns(b"b\xfccher.example"),
    "broken UTF-8": dns(b"\xc3\x28.example"),
    "a look-alike A-label": dns("xn--pple-43d.com"),
    "a broken A-label": dns("xn--\x7f.example"),
    "a fake A-label": dns("xn--zz.example"),
    "R-LDH": dns("ab--c.example"),
    "a wildcard": dns("*"),
    "a wildcard of everything": dns("*.example"),
    "two wildcards": dns("*.*.example.com"),
    "half a wildcard": dns("w*.example.com"),
    "a label of 64": dns("a" * 64 + ".example"),
    "254 octets": dns("a.b" * 84 + ".x"),
    "an address": dns("192.0.2.1"),
    "an address in short": dns("127.1"),
    "an address in hex": dns("0x7f.1"),
    "a number": dns("2130706433"),
    "an address of 3 octets": der.element(0x87, b"\x7f\x00\x01"),
    "a network": der.element(0x87, b"\x0a\x00\x00\x00\xff\x00\x00\x00"),
    "no address": der.element(0x87, bytes(4)),
    "a group": der.element(0x87, b"\xe0\x00\x00\x01"),
    "IPv4 as IPv6": der.element(0x87, bytes(10) + b"\xff\xff\x0a\x00\x00\x01"),
    "a mailbox": der.element(0x81, b"root@example.com"),
    "a mailbox with a NUL": der.element(0x81, b"root@example.com\0"),
    "a URI": der.element(0x86, b"https://example.com/"),
    "another name": der.element(0xA0, der.oid(UPN), der.context(0, TEXT)),
    "a directory name": der.element(0xA4, DEVICE),
    "a registered ID": der.element(0x88, b"\x2a\x03\x04"),
    "an X.400 address": der.element(0xA3, der.sequence()),
    "an EDI party": der.element(0xA5, der.context(1, TEXT)),
    "an unknown kind": der.element(0x89, b"x"),
}
SUBJECTS = {
    "no common name": forged(name=subject()),
    "an empty one": common_name(""),
    "a NUL": common_name("plc\0-21"),
    "a line end": common_name("plc\n21"),
    "an override of direction": common_name("plc\u202e12"),
    "mixed scripts": common_name("p\u0430ypal"),
    "not normalised": common_name("u\u0308ber"),
    "65 letters": common_name("a" * 65),
    "blanks at the ends": common_name(" plc "),
    "half a surrogate pair": common_name(b"\xd8\x00", BMP),
    "beyond Unicode": common_name(b"\x00\x11\x00\x00", UNIVERSAL),
    "an IA5String that is not ASCII": common_name(b"\xff", IA5),
    "an INTEGER": common_name(b"\x05", 0x02),
    "two of them": forged(
        name=subject(attribute_value(COMMON_NAME, "a"), attribute_value(COMMON_NAME, "b"))
    ),
    "two in one RDN": forged(
        name=der.sequence(
            der.set_of(attribute_value(COMMON_NAME, "a"), attribute_value("2.5.4.5", "1", 0x13))
        )
    ),
    "1000 RDNs": forged(name=subject(*[attribute_value(COMMON_NAME, "a")] * 1000)),
    "an empty RDN": forged(name=der.sequence(der.element(0x31))),
    "a country of three letters": forged(
        name=subject(attribute_value("2.5.4.6", "CHE", 0x13), attribute_value(COMMON_NAME, "a"))
    ),
}
KEYS = {
    "RSA of 512 bits": rsa_key((1 << 511) + 187),
    "RSA of 1024 bits": rsa_key((1 << 1023) + 1155),
    "RSA of 60,000 octets": rsa_key((1 << 480_000) + 1),
    "RSA with an even modulus": rsa_key((1 << 2047) + 2),
    "RSA with exponent 1": rsa_key((1 << 2047) + 1, 1),
    "RSA with an exponent as large": rsa_key((1 << 2047) + 1, (1 << 2047) - 1),
    "RSA with a negative modulus": rsa_key(-(1 << 2047)),
    "RSA without parameters": rsa_key((1 << 2047) + 1).replace(der.null(), b"", 1),
    "P-224": spki(ec.generate_private_key(ec.SECP224R1())),
    "DSA": spki(dsa.generate_private_key(2048)),
    "a point off the curve": ec_key(b"\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x01"),
    "the point at infinity": ec_key(b"\x00"),
    "a point of no octets": ec_key(b""),
    "a hybrid point": ec_key(b"\x06" + PUBLIC_KEY[-64:]),
    "no curve": ec_key(PUBLIC_KEY[-65:], der.null()),
    "an implicit curve": ec_key(PUBLIC_KEY[-65:], der.sequence(der.integer(1))),
    "Ed25519 of 31 octets": raw_key("1.3.101.112", bytes(31)),
    "ML-DSA of 3 octets": raw_key("2.16.840.1.101.3.4.3.18", b"abc"),
    "an unknown kind": raw_key("1.2.3.4", b"abc"),
    "no key": der.sequence(),
    "somebody else's": spki(ec.generate_private_key(ec.SECP256R1())),
}
ALGORITHMS = {
    "SHA-1": der.sequence(der.oid("1.2.840.10045.4.1")),
    "MD5 with RSA": der.sequence(der.oid("1.2.840.113549.1.1.4"), der.null()),
    "SHA-384": der.sequence(der.oid("1.2.840.10045.4.3.3")),
    "RSA": der.sequence(der.oid("1.2.840.113549.1.1.11"), der.null()),
    "parameters too many": der.sequence(der.oid("1.2.840.10045.4.3.2"), der.null()),
    "unknown": der.sequence(der.oid("1.2.3.4")),
    "none": der.sequence(),
}
FORGERIES = {
    **{f"encoding: {what}": csr for what, csr in ENCODINGS.items()},
    **{f"contradiction: {what}": csr for what, csr in CONTRADICTIONS.items()},
    **{f"name: {what}": with_names(name) for what, name in NAMES.items()},
    **{f"subject: {what}": csr for what, csr in SUBJECTS.items()},
    **{f"key: {what}": forged(key=key) for what, key in KEYS.items()},
    **{f"algorithm: {what}": forged(algorithm=one) for what, one in ALGORITHMS.items()},
    "21 names": with_names(*(dns(f"a{number}.example") for number in range(21))),
    "3000 names": with_names(*(dns(f"a{number}.example") for number in range(3000))),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_request_is_refused(door, refused, what):
    """In a sentence of plain text, in the words of EST; the code is as good as before."""
    answer = door.enroll(FORGERIES[what])

    refused(answer, 400, 413)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.removesuffix("\n").isprintable()


def test_a_request_that_is_cut_off_is_refused(door, refused):
    """At every seventh octet."""
    for octets in truncations(GOOD, 7):
        refused(door.enroll(octets), 400)


def test_a_wish_to_be_an_authority_is_not_granted(door):
    """A CSR is a wish: the template says what the certificate is."""
    usage = extension("2.5.29.15", b"\x03\x02\x01\x06", critical=TRUE)
    any_usage = extension("2.5.29.37", der.sequence(der.oid("2.5.29.37.0")))
    unknown = extension("1.2.3.4", b"\x05\x00", critical=TRUE)
    answer = door.enroll(forged(wishes(CA_TRUE, usage, any_usage, unknown)))

    assert 200 == answer.status_code
    (issued,) = read_certificates_only(base64.b64decode(answer.content))
    extensions = x509.load_der_x509_certificate(issued).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert "2.5.29.37.0" not in [
        usage.dotted_string
        for usage in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    ]
    assert "1.2.3.4" not in [one.oid.dotted_string for one in extensions]


MUTATOR = Mutator([GOOD, *seeds.requests()], (), is_der=True, seed=1)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.integers(0, 2**32))
def test_a_mutated_request_is_refused(door, refused, seed):
    """Its signature is wrong at least, if it can be read at all."""
    mutated = Mutator([GOOD, *seeds.requests()[:2]], (), is_der=True, seed=seed).next()
    if mutated not in (GOOD, *seeds.requests()):
        refused(door.enroll(mutated), 400, 413)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.binary(max_size=300), st.sampled_from(["application/pkcs10", "application/pkcs10; a=b", ""])
)
def test_a_body_of_anything_is_refused(door, refused, body, content_type):
    """Base64 or not."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = door.client.send(
        "POST", "/.well-known/est/simpleenroll", body, headers=headers, user=door.code
    )

    refused(answer, 400)
