"""General names as text, and X.520's bounds."""

import ipaddress

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.names import UPN, check_bounds, general_name_text

CN = "2.5.4.3"
COUNTRY = "2.5.4.6"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (x509.DNSName("www.example"), "dns:www.example"),
        (x509.IPAddress(ipaddress.ip_address("10.0.0.1")), "ip:10.0.0.1"),
        (x509.IPAddress(ipaddress.ip_address("2001:db8::1")), "ip:2001:db8::1"),
        (x509.IPAddress(ipaddress.ip_network("10.0.0.0/8")), "ip:10.0.0.0/8"),
        (x509.RFC822Name("a@example.org"), "email:a@example.org"),
        (x509.UniformResourceIdentifier("urn:x:1"), "uri:urn:x:1"),
        (x509.OtherName(UPN, b"\x0c\x05a@b.c"), "upn:a@b.c"),
        (x509.OtherName(UPN, b"\x0c\x05a@b"), "other:1.3.6.1.4.1.311.20.2.3"),
        (x509.OtherName(UPN, b"\x0c\x01\xff"), "other:1.3.6.1.4.1.311.20.2.3"),
        (x509.OtherName(UPN, b"\x16\x01a"), "other:1.3.6.1.4.1.311.20.2.3"),
        (x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), "other:1.2.3"),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), "rid:1.2.3"),
        (x509.DirectoryName(x509.Name.from_rfc4514_string("CN=a,O=b")), "dirname:CN=a,O=b"),
    ],
)
def test_each_kind_has_its_text(name, text):
    """The words of templates, searches and traces."""
    assert text == general_name_text(name)


def attribute(oid, tag, value):
    """One AttributeTypeAndValue in its RDN."""
    return der.set_of(der.sequence(der.oid(oid), der.element(tag, value)))


@pytest.mark.parametrize(
    ("encoded", "fits"),
    [
        (attribute(CN, 0x0C, b"a" * 64), True),
        (attribute(CN, 0x0C, b"a" * 65), False),
        (attribute(CN, 0x0C, b""), False),
        (attribute(CN, 0x1E, "ä".encode("utf-16-be") * 32), True),
        (attribute(CN, 0x1E, "ä".encode("utf-16-be") * 33), False),
        (attribute(COUNTRY, 0x13, b"CH"), True),
        (attribute(COUNTRY, 0x13, b"CHE"), False),
        (attribute("1.3.6.1.4.1.311.60.2.1.3", 0x13, b"C"), False),
        (attribute("2.5.4.10", 0x0C, b"a" * 500), True),
    ],
)
def test_common_name_and_country_have_bounds(encoded, fits):
    """RFC 5280 appendix A.1; cryptography only warns, for the whole process."""
    if fits:
        check_bounds(encoded)
        return
    with pytest.raises(MalformedRequest, match="octets"):
        check_bounds(encoded)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_octets_raise_anything_else(before, after):
    """Also where the OID stands in the middle of something else."""
    try:
        check_bounds(before + b"\x06\x03\x55\x04\x03" + after)
    except MalformedRequest:
        return
