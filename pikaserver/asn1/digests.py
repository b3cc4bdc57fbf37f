"""Hash functions by our names and by their OIDs: what is stamped and signed may use any of them."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from pikaserver.asn1.identifiers import HASH_OIDS

DIGEST_OIDS: Mapping[str, str] = MappingProxyType(
    {
        "sha1": "1.3.14.3.2.26",
        **HASH_OIDS,
        "sha3-256": "2.16.840.1.101.3.4.2.8",
        "sha3-384": "2.16.840.1.101.3.4.2.9",
        "sha3-512": "2.16.840.1.101.3.4.2.10",
    }
)
"""The OIDs of the hashes that we know, by our names."""

SHAKE_OIDS: Mapping[str, str] = MappingProxyType(
    {"shake128": "2.16.840.1.101.3.4.2.11", "shake256": "2.16.840.1.101.3.4.2.12"}
)
"""Those that go with SLH-DSA in CMS alone: twice as long as their security (RFC 9814)."""

DIGEST_NAMES: Mapping[str, str] = MappingProxyType({oid: name for name, oid in DIGEST_OIDS.items()})
"""The same the other way round."""

DIGEST_OCTETS: Mapping[str, int] = MappingProxyType(
    {"sha1": 20, **{name: int(name[-3:]) // 8 for name in DIGEST_OIDS if name != "sha1"}}
)
"""How long the digests are, by our names."""


def python_name(name: str) -> str:
    """Return what ``hashlib`` calls a hash."""
    return name.replace("sha3-", "sha3_")


def digest(name: str, octets: bytes) -> bytes:
    """Return the digest of some octets; SHA-1 and MD5 are there for what others signed."""
    if name == "shake128":
        return hashlib.shake_128(octets).digest(32)
    if name == "shake256":
        return hashlib.shake_256(octets).digest(64)
    weak = name in ("sha1", "md5")
    return hashlib.new(python_name(name), octets, usedforsecurity=not weak).digest()
