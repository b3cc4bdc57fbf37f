"""Composite ML-DSA: two keys that sign as one (draft-ietf-lamps-pq-composite-sigs-19).

A draft: nothing here is used unless the settings name it.  Of the two halves, of the keys and of
the signatures, ML-DSA comes first; they stand one after the other without any wrapping.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import identifier, key_algorithm, key_bits

DRAFT = "draft-ietf-lamps-pq-composite-sigs-19"
"""What the settings have to name."""

PREFIX = "composite-"
"""How our names of them begin."""

_MESSAGE_PREFIX = b"CompositeAlgorithmSignatures2025"
_RSA = identifier("1.2.840.113549.1.1.1", der.null())
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "brainpool-p256": ec.BrainpoolP256R1,
    "brainpool-p384": ec.BrainpoolP384R1,
}
_EC_SIGNATURES = {"p256": 72, "p384": 104, "p521": 139, "brainpool-p256": 72, "brainpool-p384": 104}
_Verify = Callable[[bytes, bytes], None]
MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@dataclass(frozen=True, slots=True)
class _Level:
    """One parameter set of ML-DSA."""

    key: type[mldsa.MLDSA44PublicKey] | type[mldsa.MLDSA65PublicKey] | type[mldsa.MLDSA87PublicKey]
    public_octets: int
    signature_octets: int
    category: int


LEVELS: Mapping[int, _Level] = MappingProxyType(
    {
        44: _Level(mldsa.MLDSA44PublicKey, 1312, 2420, 2),
        65: _Level(mldsa.MLDSA65PublicKey, 1952, 3309, 3),
        87: _Level(mldsa.MLDSA87PublicKey, 2592, 4627, 5),
    }
)
"""The parameter sets by the numbers in their names."""


@dataclass(frozen=True, slots=True)
class Composite:
    """One combination; ``kind`` is ``rsa``, ``rsa-pss``, ``ec``, ``ed25519`` or ``ed448``.

    ``size`` is the modulus in bits or the curve, ``hash`` what the classical half hashes with,
    ``prehash`` what the message is hashed with for both.
    """

    name: str
    identifier: bytes
    level: int
    kind: str
    size: str
    hash: str
    prehash: str
    label: bytes

    @property
    def signature_octets(self) -> int:
        """The greatest length of its signatures."""
        if self.kind == "ec":
            other = _EC_SIGNATURES[self.size]
        elif self.kind.startswith("rsa"):
            other = int(self.size) // 8
        else:
            other = 64 if self.kind == "ed25519" else 114
        return LEVELS[self.level].signature_octets + other

    @property
    def category(self) -> int:
        """NIST's security category of its better half."""
        return LEVELS[self.level].category


def _composites() -> Mapping[str, Composite]:
    rows = (  # arc, level, kind, size, hash, prehash, what the draft calls the classical half
        (37, 44, "rsa-pss", "2048", "sha256", "sha256", "RSA2048-PSS"),
        (38, 44, "rsa", "2048", "sha256", "sha256", "RSA2048-PKCS15"),
        (39, 44, "ed25519", "", "", "sha512", "Ed25519"),
        (40, 44, "ec", "p256", "sha256", "sha256", "ECDSA-P256"),
        (41, 65, "rsa-pss", "3072", "sha256", "sha512", "RSA3072-PSS"),
        (42, 65, "rsa", "3072", "sha256", "sha512", "RSA3072-PKCS15"),
        (43, 65, "rsa-pss", "4096", "sha384", "sha512", "RSA4096-PSS"),
        (44, 65, "rsa", "4096", "sha384", "sha512", "RSA4096-PKCS15"),
        (45, 65, "ec", "p256", "sha256", "sha512", "ECDSA-P256"),
        (46, 65, "ec", "p384", "sha384", "sha512", "ECDSA-P384"),
        (47, 65, "ec", "brainpool-p256", "sha256", "sha512", "ECDSA-BP256"),
        (48, 65, "ed25519", "", "", "sha512", "Ed25519"),
        (49, 87, "ec", "p384", "sha384", "sha512", "ECDSA-P384"),
        (50, 87, "ec", "brainpool-p384", "sha384", "sha512", "ECDSA-BP384"),
        (51, 87, "ed448", "", "", "shake256", "Ed448"),
        (52, 87, "rsa-pss", "3072", "sha256", "sha512", "RSA3072-PSS"),
        (53, 87, "rsa-pss", "4096", "sha384", "sha512", "RSA4096-PSS"),
        (54, 87, "ec", "p521", "sha512", "sha512", "ECDSA-P521"),
    )
    found = {}
    for arc, level, kind, size, hashed, prehash, called in rows:
        name = f"{PREFIX}ml-dsa-{level}-{kind}" + (f"-{size}" if size else "")
        label = f"COMPSIG-MLDSA{level}-{called}-{prehash.upper()}".encode()
        oid = identifier(f"1.3.6.1.5.5.7.6.{arc}")
        found[name] = Composite(name, oid, level, kind, size, hashed, prehash, label)
    return MappingProxyType(found)


COMPOSITES = _composites()
"""All combinations of the draft, by our names; key type and signature algorithm in one."""

_BY_IDENTIFIER = {entry.identifier: entry.name for entry in COMPOSITES.values()}


def composite_key_type(spki: bytes) -> str | None:
    """Return our name of a composite key's type, ``None`` for keys of all other kinds.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    return _BY_IDENTIFIER.get(key_algorithm(spki))


def representative(entry: Composite, message: bytes) -> bytes:
    """Return what both halves sign (section 3.2), for an empty context."""
    hashed = (
        hashlib.shake_256(message).digest(64)
        if entry.prehash == "shake256"
        else hashlib.new(entry.prehash, message).digest()
    )
    return _MESSAGE_PREFIX + entry.label + b"\0" + hashed


def curve_of(entry: Composite) -> ec.EllipticCurve:
    """Return the curve of the classical half."""
    return _CURVES[entry.size]()


def rsa_scheme(entry: Composite) -> tuple[AsymmetricPadding, hashes.HashAlgorithm]:
    """Return padding and hash of an RSA half; the salt is as long as the hash."""
    hashed = _HASHES[entry.hash]()
    if entry.kind == "rsa":
        return padding.PKCS1v15(), hashed
    return padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed


def ecdsa_hash(entry: Composite) -> hashes.HashAlgorithm:
    """Return the hash of an ECDSA half."""
    return _HASHES[entry.hash]()


def check_public_key(spki: bytes) -> None:
    """Check that both halves of a key are such keys.

    Raises:
        MalformedRequest: they are not.
    """
    name = composite_key_type(spki)
    if name is None:
        raise MalformedRequest("not a composite key")
    entry, bits = COMPOSITES[name], key_bits(spki)
    if der.sequence(entry.identifier, der.bit_string(bits)) != spki:
        raise MalformedRequest(f"the {name} key is not in its usual encoding")
    _halves(entry, bits)


def verify(spki: bytes, name: str, signature: bytes, message: bytes) -> None:
    """Return when both halves of the signature hold (section 3.3).

    Raises:
        SignatureFaulty: one of them does not, or the key is of another kind.
    """
    entry = COMPOSITES[name]
    end = LEVELS[entry.level].signature_octets
    try:
        if composite_key_type(spki) != name:
            raise SignatureFaulty(f"the public key is not one for {name}")
        first, second = _halves(entry, key_bits(spki))
        signed = representative(entry, message)
        first.verify(signature[:end], signed, entry.label)
        second(signature[end:], signed)
    except (InvalidSignature, MalformedRequest, ValueError, UnsupportedAlgorithm):
        raise SignatureFaulty(f"the {name} signature does not verify") from None


def _halves(entry: Composite, bits: bytes) -> tuple[MlDsaPublicKey, _Verify]:
    level = LEVELS[entry.level]
    try:
        first = level.key.from_public_bytes(bits[: level.public_octets])
        return first, _classical(entry, bits[level.public_octets :])
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedRequest(f"a half of the {entry.name} key cannot be read") from None


def _classical(entry: Composite, octets: bytes) -> _Verify:
    if entry.kind == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(octets).verify
    if entry.kind == "ed448":
        return ed448.Ed448PublicKey.from_public_bytes(octets).verify
    if entry.kind == "ec":
        if octets[:1] != b"\x04":
            raise ValueError("a compressed point")
        point = ec.EllipticCurvePublicKey.from_encoded_point(curve_of(entry), octets)
        scheme = ec.ECDSA(ecdsa_hash(entry))
        return lambda signature, message: point.verify(signature, message, scheme)
    key = load_der_public_key(der.sequence(_RSA, der.bit_string(octets)))
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != int(entry.size):
        raise ValueError("an RSA key of another size")
    padded, hashed = rsa_scheme(entry)
    return lambda signature, message: key.verify(signature, message, padded, hashed)
