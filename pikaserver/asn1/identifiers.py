"""AlgorithmIdentifier and SubjectPublicKeyInfo: made, taken apart, recognised."""

import hashlib

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    BIT_STRING,
    INTEGER,
    OID,
    SEQUENCE,
    children,
    content,
    dotted,
    expect,
    read_element,
)

HASH_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_DIGEST_OCTETS = {"sha256": 32, "sha384": 48, "sha512": 64}
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"


def identifier(oid: str, *parameters: bytes) -> bytes:
    """Return an AlgorithmIdentifier (RFC 5280 section 4.1.1.2)."""
    return der.sequence(der.oid(oid), *parameters)


UNSIGNED = identifier("1.3.6.1.5.5.7.6.36")
"""id-alg-unsigned (RFC 9925): stands where nobody signed."""


def hash_identifier(hash_name: str) -> bytes:
    """Return a hash's AlgorithmIdentifier as CMS wants it: without parameters (RFC 5754)."""
    return identifier(HASH_OIDS[hash_name])


def pss_identifier(hash_name: str) -> bytes:
    """Return RSASSA-PSS with one hash for all and a salt of its length (RFC 4055 section 3.1).

    The hash has NULL parameters there, as every implementation writes it.
    """
    hashed = identifier(HASH_OIDS[hash_name], der.null())
    return identifier(
        _RSASSA_PSS,
        der.sequence(
            der.context(0, hashed),
            der.context(1, identifier(_MGF1, hashed)),
            der.context(2, der.integer(_DIGEST_OCTETS[hash_name])),
        ),
    )


def read_oid(identifier_der: bytes) -> str:
    """Return the dotted OID of an AlgorithmIdentifier.

    Raises:
        MalformedRequest: it does not begin with an OID.
    """
    start, end = content(identifier_der, 0)
    return dotted(
        expect(identifier_der, read_element(identifier_der, start, end), OID, "an algorithm's OID")
    )


def read_pss_hash(identifier_der: bytes) -> str | None:
    """Return the hash of an RSASSA-PSS identifier with any salt, ``None`` for all else.

    Both the message's and the mask's hash must be one that we know; RFC 4055 section 2.1
    lets its parameters be NULL or absent.
    """
    if read_oid(identifier_der) != _RSASSA_PSS:
        return None
    for name, oid in HASH_OIDS.items():
        for hashed in (identifier(oid, der.null()), identifier(oid)):
            hash_part = der.context(0, hashed)
            mask_part = der.context(1, identifier(_MGF1, hashed))
            if hash_part + mask_part in identifier_der:
                return name
    return None


def key_bits(spki: bytes) -> bytes:
    """Return the octets of subjectPublicKey.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    parts = list(children(spki))
    if [part.tag for part in parts] != [SEQUENCE, BIT_STRING]:
        raise MalformedRequest("not a SubjectPublicKeyInfo")
    bits = spki[parts[1].start : parts[1].end]
    if not bits or bits[0] != 0:
        raise MalformedRequest("a public key of no whole number of octets")
    return bits[1:]


def key_identifier(spki: bytes) -> bytes:
    """Return the SHA-1 of subjectPublicKey's octets (RFC 5280 section 4.2.1.2, method 1)."""
    return hashlib.sha1(key_bits(spki), usedforsecurity=False).digest()


def key_algorithm(spki: bytes) -> bytes:
    """Return the AlgorithmIdentifier of a SubjectPublicKeyInfo.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    start, end = content(spki, 0)
    found = read_element(spki, start, end)
    expect(spki, found, SEQUENCE, "the algorithm of a public key")
    return spki[found.at : found.end]


def rsa_bits(spki: bytes) -> int:
    """Return the size of an RSA key's modulus (RFC 8017 appendix A.1.1).

    Raises:
        MalformedRequest: it is not an RSA key.
    """
    key = key_bits(spki)
    start, end = content(key, 0)
    modulus = expect(key, read_element(key, start, end), INTEGER, "an RSA modulus")
    return int.from_bytes(modulus, "big").bit_length()
