"""Signature algorithms that are known and never accepted, with the reason."""

from collections.abc import Mapping
from types import MappingProxyType

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "1.2.840.113549.1.1.4": "MD5 with RSA is broken",
        "1.2.840.113549.1.1.5": "SHA-1 with RSA is broken",
        "1.2.840.10045.4.1": "SHA-1 with ECDSA is broken",
        "2.16.840.1.101.3.4.3.32": "HashML-DSA-44 must not be used (RFC 9881)",
        "2.16.840.1.101.3.4.3.33": "HashML-DSA-65 must not be used (RFC 9881)",
        "2.16.840.1.101.3.4.3.34": "HashML-DSA-87 must not be used (RFC 9881)",
        **{
            f"2.16.840.1.101.3.4.3.{arc}": "HashSLH-DSA is not accepted, pure SLH-DSA is"
            for arc in range(35, 47)
        },
    }
)
"""What is wrong with them, by OID."""
