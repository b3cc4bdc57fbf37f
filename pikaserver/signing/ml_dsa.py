"""ML-DSA private keys in the forms in which they travel (RFC 9881 section 6)."""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import mldsa

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.elements import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    children,
    expect,
    read_element,
)

SEED_OCTETS = 32
_SEED_TAG = 0x80


@dataclass(frozen=True, slots=True)
class _Parameters:
    """Sizes of one parameter set (FIPS 204 section 4)."""

    name: str
    k: int
    l: int  # noqa: E741 - FIPS 204 calls it so
    expanded_octets: int
    key: type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey] = field(
        repr=False
    )


_BY_IDENTIFIER = {
    KEY_TYPES[parameters.name].identifier: parameters
    for parameters in (
        _Parameters("ml-dsa-44", 4, 4, 2560, mldsa.MLDSA44PrivateKey),
        _Parameters("ml-dsa-65", 6, 5, 4032, mldsa.MLDSA65PrivateKey),
        _Parameters("ml-dsa-87", 8, 7, 4896, mldsa.MLDSA87PrivateKey),
    )
}


def seed_form(pkcs8: bytes) -> bytes | None:
    """Return an ML-DSA key in PKCS#8's seed form, ``None`` when it is a key of another kind.

    Read are the seed form, OpenSSL's form with seed and expanded key when both agree, and
    the bare seed of the time before the RFC.

    Raises:
        MalformedRequest: it is no PKCS#8, or its halves contradict each other.
        RequestRejected: it is an ML-DSA key without its seed.
    """
    version, identifier, secret = _split(pkcs8)
    parameters = _BY_IDENTIFIER.get(identifier)
    if parameters is None:
        return None
    seed = _seed(parameters, secret)
    return der.sequence(
        version, identifier, der.octet_string(der.context(0, seed, constructed=False))
    )


def _split(pkcs8: bytes) -> tuple[bytes, bytes, bytes]:
    """Return version 0, the algorithm's identifier and the content of privateKey (RFC 5958)."""
    parts = list(children(pkcs8))
    if [part.tag for part in parts[:3]] != [INTEGER, SEQUENCE, OCTET_STRING]:
        raise MalformedRequest("not a PKCS#8 private key")
    identifier, secret = parts[1], parts[2]
    return (
        der.integer(0),
        pkcs8[identifier.at : identifier.end],
        pkcs8[secret.start : secret.end],
    )


def _seed(parameters: _Parameters, secret: bytes) -> bytes:
    if len(secret) == SEED_OCTETS:
        return secret
    if len(secret) == parameters.expanded_octets:
        raise _without_seed(parameters)
    outer = read_element(secret, 0)
    if outer.end != len(secret):
        raise MalformedRequest(f"octets follow the end of an {parameters.name} private key")
    if outer.tag == _SEED_TAG and outer.end - outer.start == SEED_OCTETS:
        return secret[outer.start : outer.end]
    if outer.tag == OCTET_STRING:
        raise _without_seed(parameters)
    if outer.tag != SEQUENCE:
        raise MalformedRequest(f"not a form of an {parameters.name} private key")
    return _seed_of_both(parameters, secret)


def _without_seed(parameters: _Parameters) -> RequestRejected:
    return RequestRejected(
        f"this {parameters.name} key has no seed; a software key needs one (RFC 9881 section 6)"
    )


def _seed_of_both(parameters: _Parameters, secret: bytes) -> bytes:
    parts = list(children(secret))
    if len(parts) != 2:  # noqa: PLR2004 - seed and expanded key
        raise MalformedRequest(f"not a form of an {parameters.name} private key")
    seed, expanded = (expect(secret, part, OCTET_STRING, "seed and expanded key") for part in parts)
    if len(seed) != SEED_OCTETS or len(expanded) != parameters.expanded_octets:
        raise MalformedRequest(f"an {parameters.name} key of wrong length")
    public = parameters.key.from_seed_bytes(seed).public_key().public_bytes_raw()
    # FIPS 204 algorithm 6: rho || K || tr open the expanded key.
    derived = hashlib.shake_256(seed + bytes((parameters.k, parameters.l))).digest(128)
    begins = public[:32] + derived[96:128] + hashlib.shake_256(public).digest(64)
    if expanded[: len(begins)] != begins:
        raise MalformedRequest(f"seed and expanded key of this {parameters.name} key disagree")
    return seed
