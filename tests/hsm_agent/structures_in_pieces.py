"""Structures taken to pieces and put together again, as no encoder of ours would."""

from pikaserver.asn1 import der
from pikaserver.asn1.elements import children


def parts_of(octets):
    """Return the encoded elements inside the outer one."""
    return [octets[one.at : one.end] for one in children(octets)]


def put(octets, place, *replacement):
    """Return the structure with one of its elements replaced, or left out."""
    parts = parts_of(octets)
    return der.element(octets[0], *parts[:place], *replacement, *parts[place + 1 :])


def indefinite(octets):
    """Return the same in BER with an indefinite outer length."""
    start, end = der.content(octets, 0)
    return octets[:1] + b"\x80" + octets[start:end] + b"\0\0"


def extension(oid, value, flag=b""):
    """Return an encoded extension."""
    return der.sequence(der.oid(oid), flag, der.octet_string(value))


def rdn(*attributes):
    """Return a Name of one RDN, in the order given."""
    return der.sequence(der.element(0x31, *attributes))


def text(oid, value, tag=0x0C):
    """Return an AttributeTypeAndValue."""
    return der.sequence(der.oid(oid), der.element(tag, value))


CRITICAL = extension("1.2.3.4", b"", b"\1\1\xff")
