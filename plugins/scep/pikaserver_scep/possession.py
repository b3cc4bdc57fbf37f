"""Requests out of envelopes: signatures first, and failures take as long as a verification.

Whoever took an envelope off the line may send it again with other octets in it, and watch.  So
nothing is read for which the signature does not vouch, and where there is not even a request, or
none with a signature that could be verified, a stand-in is verified in its place.
"""

import hashlib
from functools import lru_cache

from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS
from pikaserver.asn1.csr import check_possession, read_csr

_MODULUS_OCTETS = 256


def read_request(content: bytes, *, weak: frozenset[str]) -> CertificationRequest:
    """Return a request whose signature holds; ``weak`` are hashes that count all the same.

    Raises:
        MalformedRequest: it is none, or does not hold.
    """
    check_possession(content, weak=weak, instead=stand_in())
    return read_csr(content)


@lru_cache(maxsize=1)
def stand_in() -> bytes:
    """Return a request of the usual kind whose signature does not hold."""
    stream = hashlib.shake_256(b"nobody's").digest(2 * _MODULUS_OCTETS)
    # Odd and of full size, as a modulus is; nobody knows what it is a product of.
    modulus = int.from_bytes(stream[:_MODULUS_OCTETS], "big") | 1 << 2047 | 1
    key = der.sequence(der.integer(modulus), der.integer(65_537))
    spki = der.sequence(KEY_TYPES["rsa-2048"].identifier, der.bit_string(key))
    common_name = der.sequence(der.oid("2.5.4.3"), der.element(0x0C, b"nobody"))
    attribute = der.sequence(
        der.oid("1.2.840.113549.1.9.7"), der.set_of(der.element(0x0C, b"nothing"))
    )
    info = der.sequence(
        der.integer(0),
        der.sequence(der.set_of(common_name)),
        spki,
        der.context(0, attribute),
    )
    algorithm = SIGNATURE_ALGORITHMS["rsa-sha256"].identifier
    return der.signed(info, algorithm, stream[_MODULUS_OCTETS:])
