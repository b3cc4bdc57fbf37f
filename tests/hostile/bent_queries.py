"""Queries for time-stamps as no honest program writes them."""

from pikaserver.asn1 import der
from pikaserver.asn1.digests import digest
from pikaserver.asn1.time_stamps import write_request
from tests.hostile.forging import nested

QUERY, BINARY = "application/timestamp-query", "application/octet-stream"
GOOD = write_request(
    "sha256", digest("sha256", b"x"), policy=None, nonce=2**63, certificate_wanted=True
)
BODY = GOOD[2:]
SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
DIGEST = der.octet_string(bytes(32))
ONE = der.integer(1)
AUTHENTICODE = der.oid("1.3.6.1.4.1.311.3.2.1")


def asked(*fields: bytes) -> bytes:
    """Return a TimeStampReq of any fields."""
    return der.sequence(*fields)


def imprint(algorithm: bytes = SHA256, hashed: bytes = DIGEST) -> bytes:
    """Return a MessageImprint of any parts."""
    return der.sequence(algorithm, hashed)


BENT = {
    "nothing": b"",
    "a zero": b"\x00",
    "noise": bytes(range(256)),
    "a page": b"<html><body>" * 100,
    "indefinite length": b"\x30\x80" + BODY + b"\x00\x00",
    "a length of 4 GiB": b"\x30\x84\xff\xff\xff\xff" + BODY,
    "a longer length than needed": b"\x30\x81" + GOOD[1:],
    "octets behind": GOOD + b"\x00",
    "twice": GOOD + GOOD,
    "a set": b"\x31" + GOOD[1:],
    "an octet string": b"\x04" + GOOD[1:],
    "10,000 levels": nested(10_000),
    "60,000 octets of tags": b"\x30" * 60_000,
    "64 KiB of zeros": bytes(65_536),
    "30,000 empty elements": asked(*[b"\x05\x00"] * 30_000),
    "30,000 tiny INTEGERs": asked(ONE, imprint(), *[ONE] * 20_000),
    "a nonce of 60,000 octets twice": asked(
        ONE, imprint(), der.integer(2**240_000), der.integer(2**240_000)
    ),
    "version 0": asked(der.integer(0), imprint()),
    "a huge version": asked(der.integer(2**400_000), imprint()),
    "no imprint": asked(ONE),
    "an empty imprint": asked(ONE, der.sequence()),
    "an imprint in a set": asked(ONE, der.set_of(SHA256, der.octet_string(bytes(32)))),
    "an algorithm in an octet string": asked(ONE, imprint(b"\x04" + SHA256[1:])),
    "an OID of 50,000 octets": asked(
        ONE, imprint(der.sequence(der.element(6, b"\x2a" + b"\xff" * 50_000 + b"\x7f")))
    ),
    "parameters of a hash": asked(
        ONE, imprint(der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.integer(1)))
    ),
    "a digest too short": asked(ONE, imprint(hashed=der.octet_string(bytes(31)))),
    "a digest of 60,000 octets": asked(ONE, imprint(hashed=der.octet_string(bytes(60_000)))),
    "MD5": asked(ONE, imprint(der.sequence(der.oid("1.2.840.113549.2.5")))),
    "fields out of order": asked(ONE, imprint(), der.boolean(value=True), der.integer(1)),
    "a policy twice": asked(ONE, imprint(), der.oid("1.2.3"), der.oid("1.2.3")),
    "an unknown field": asked(ONE, imprint(), der.octet_string(b"")),
    "an extension": asked(ONE, imprint(), der.context(0, der.sequence())),
    "extensions of 60,000 octets": asked(ONE, imprint(), der.context(0, nested(28) * 1000)),
}
