"""Composite ML-DSA private keys (draft-ietf-lamps-pq-composite-sigs-19): made, read, used.

As they travel: the seed of ML-DSA, then the classical key as PKCS#1 or RFC 5915 write it, or raw.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.composite import (
    COMPOSITES,
    Composite,
    curve_of,
    ecdsa_hash,
    representative,
    rsa_scheme,
)
from pikaserver.asn1.elements import INTEGER, OCTET_STRING, SEQUENCE, children

_SEED_OCTETS = 32
_PUBLIC_EXPONENT = 65_537
_CURVE_OIDS = {
    "p256": "1.2.840.10045.3.1.7",
    "p384": "1.3.132.0.34",
    "p521": "1.3.132.0.35",
    "brainpool-p256": "1.3.36.3.3.2.8.1.1.7",
    "brainpool-p384": "1.3.36.3.3.2.8.1.1.11",
}
_MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
_Classical = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
_ML_DSA: dict[
    int,
    type[mldsa.MLDSA44PrivateKey] | type[mldsa.MLDSA65PrivateKey] | type[mldsa.MLDSA87PrivateKey],
] = {
    44: mldsa.MLDSA44PrivateKey,
    65: mldsa.MLDSA65PrivateKey,
    87: mldsa.MLDSA87PrivateKey,
}
_BY_IDENTIFIER = {entry.identifier: entry for entry in COMPOSITES.values()}


@dataclass(frozen=True, slots=True)
class CompositeKey:
    """Both halves of a private key."""

    entry: Composite
    first: _MlDsaKey = field(repr=False)
    second: _Classical = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        bits = self.first.public_key().public_bytes_raw() + _public_half(self.second)
        return der.sequence(self.entry.identifier, der.bit_string(bits))

    @property
    def pkcs8(self) -> bytes:
        """PKCS#8 in DER (section 4.3)."""
        secret = self.first.private_bytes_raw() + _private_half(self.entry, self.second)
        return der.sequence(der.integer(0), self.entry.identifier, der.octet_string(secret))

    def sign(self, message: bytes) -> bytes:
        """Return both signatures over a message (section 3.2)."""
        signed = representative(self.entry, message)
        first = self.first.sign(signed, self.entry.label)
        return first + _sign_classically(self.entry, self.second, signed)


def new_composite_key(name: str) -> CompositeKey:
    """Return a fresh key of one of ``COMPOSITES``; its halves are used nowhere else."""
    entry = COMPOSITES[name]
    makers: dict[str, Callable[[], _Classical]] = {
        "rsa": lambda: rsa.generate_private_key(_PUBLIC_EXPONENT, int(entry.size)),
        "rsa-pss": lambda: rsa.generate_private_key(_PUBLIC_EXPONENT, int(entry.size)),
        "ec": lambda: ec.generate_private_key(curve_of(entry)),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
    }
    return CompositeKey(entry, _ML_DSA[entry.level].generate(), makers[entry.kind]())


def read_composite_key(pkcs8: bytes) -> CompositeKey | None:
    """Read PKCS#8 (DER); ``None`` for keys of all other kinds.

    Raises:
        MalformedRequest: a half of it cannot be read, or is of another kind.
    """
    parts = list(children(pkcs8))
    if [part.tag for part in parts[:3]] != [INTEGER, SEQUENCE, OCTET_STRING]:
        return None
    entry = _BY_IDENTIFIER.get(pkcs8[parts[1].at : parts[1].end])
    if entry is None:
        return None
    secret = pkcs8[parts[2].start : parts[2].end]
    try:
        first = _ML_DSA[entry.level].from_seed_bytes(secret[:_SEED_OCTETS])
        second = _read_half(entry, secret[_SEED_OCTETS:])
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedRequest(f"a half of the {entry.name} key cannot be read") from None
    return CompositeKey(entry, first, second)


def _sign_classically(entry: Composite, key: _Classical, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        padded, hashed = rsa_scheme(entry)
        return key.sign(message, padded, hashed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(ecdsa_hash(entry)))
    return key.sign(message)


def _public_half(key: _Classical) -> bytes:
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public.public_bytes_raw()


def _private_half(entry: Composite, key: _Classical) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        # ECPrivateKey with the curve and without the public key, as the draft has it.
        size = (key.curve.key_size + 7) // 8
        secret = key.private_numbers().private_value.to_bytes(size, "big")
        curve = der.context(0, der.oid(_CURVE_OIDS[entry.size]))
        return der.sequence(der.integer(1), der.octet_string(secret), curve)
    return key.private_bytes_raw()


def _read_half(entry: Composite, octets: bytes) -> _Classical:
    if entry.kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(octets)
    if entry.kind == "ed448":
        return ed448.Ed448PrivateKey.from_private_bytes(octets)
    key = load_der_private_key(octets, None)
    if entry.kind == "ec" and isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name == curve_of(entry).name:
            return key
    elif isinstance(key, rsa.RSAPrivateKey) and key.key_size == int(entry.size or 0):
        return key
    raise ValueError("the classical half is of another kind")
