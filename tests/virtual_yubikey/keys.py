"""Private keys of the card: made, taken in, used, and shown as the card shows public keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.virtual_yubikey.apdu import Refused, Status
from tests.virtual_yubikey.tlv import tlv

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | x25519.X25519PrivateKey
)
RAW = Encoding.Raw, PublicFormat.Raw


class KeyType(IntEnum):
    """Algorithm identifiers of keys."""

    RSA1024 = 0x06
    RSA2048 = 0x07
    RSA3072 = 0x05
    RSA4096 = 0x16
    ECCP256 = 0x11
    ECCP384 = 0x14
    ED25519 = 0xE0
    X25519 = 0xE1


class PinPolicy(IntEnum):
    """When a key wants the PIN."""

    NEVER = 1
    ONCE = 2
    ALWAYS = 3


class TouchPolicy(IntEnum):
    """When a key wants a touch."""

    NEVER = 1
    ALWAYS = 2
    CACHED = 3


RSA_BITS = {
    KeyType.RSA1024: 1024,
    KeyType.RSA2048: 2048,
    KeyType.RSA3072: 3072,
    KeyType.RSA4096: 4096,
}
CURVES: dict[int, ec.EllipticCurve] = {
    KeyType.ECCP256: ec.SECP256R1(),
    KeyType.ECCP384: ec.SECP384R1(),
}
SINCE_5_7 = {KeyType.RSA3072, KeyType.RSA4096, KeyType.ED25519, KeyType.X25519}


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What a slot holds: a key and the rules that it was made with."""

    type: KeyType
    private: PrivateKey
    pin_policy: PinPolicy
    touch_policy: TouchPolicy
    generated: bool


def generate(key_type: KeyType) -> PrivateKey:
    """Make a key."""
    if key_type in RSA_BITS:
        return rsa.generate_private_key(65537, RSA_BITS[key_type])
    if key_type in CURVES:
        return ec.generate_private_key(CURVES[key_type])
    if key_type == KeyType.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    return x25519.X25519PrivateKey.generate()


def take_in(key_type: KeyType, fields: Mapping[int, bytes]) -> PrivateKey:
    """Build the key that IMPORT brings: 01 and 02 primes, 06 scalar, 07 and 08 seeds.

    Raises:
        Refused: the numbers are missing or are no key of this type.
    """
    try:
        if key_type in RSA_BITS:
            return _from_primes(RSA_BITS[key_type], fields[0x01], fields[0x02])
        if key_type in CURVES:
            scalar = int.from_bytes(fields[0x06], "big")
            return ec.derive_private_key(scalar, CURVES[key_type])
        if key_type == KeyType.ED25519:
            return ed25519.Ed25519PrivateKey.from_private_bytes(fields[0x07])
        return x25519.X25519PrivateKey.from_private_bytes(fields[0x08])
    except (KeyError, ValueError) as wrong:
        raise Refused(Status.WRONG_DATA) from wrong


def _from_primes(bits: int, first: bytes, second: bytes) -> rsa.RSAPrivateKey:
    p, q = int.from_bytes(first, "big"), int.from_bytes(second, "big")
    if (p * q).bit_length() != bits:
        raise ValueError("the primes make another modulus")
    # The exponent is fixed: a YubiKey has no place to be told another.
    private = pow(65537, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=private % (p - 1),
        dmq1=private % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(65537, p * q),
    )
    return numbers.private_key()


def public_octets(private: PrivateKey) -> bytes:
    """Return 81 modulus and 82 exponent, or 86 point."""
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.public_key().public_numbers()
        modulus = numbers.n.to_bytes(private.key_size // 8, "big")
        return tlv(0x81, modulus) + tlv(0x82, numbers.e.to_bytes(3, "big"))
    if isinstance(private, ec.EllipticCurvePrivateKey):
        form = Encoding.X962, PublicFormat.UncompressedPoint
        return tlv(0x86, private.public_key().public_bytes(*form))
    return tlv(0x86, private.public_key().public_bytes(*RAW))


def sign(private: PrivateKey, message: bytes) -> bytes:
    """Use the key as the card does: RSA over a padded block, ECDSA over a hash, Ed25519 over all.

    Raises:
        Refused: the input is too long for the key, or the key cannot sign.
    """
    if isinstance(private, rsa.RSAPrivateKey):
        return _raw_rsa(private, message)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return _ecdsa(private, message)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    raise Refused(Status.WRONG_DATA)


def _raw_rsa(private: rsa.RSAPrivateKey, block: bytes) -> bytes:
    numbers = private.private_numbers()
    octets = private.key_size // 8
    padded = int.from_bytes(block, "big")
    if len(block) != octets or padded >= numbers.public_numbers.n:
        raise Refused(Status.WRONG_DATA)
    by_p = pow(padded, numbers.dmp1, numbers.p)
    by_q = pow(padded, numbers.dmq1, numbers.q)
    result = by_q + numbers.q * ((by_p - by_q) * numbers.iqmp % numbers.p)
    return result.to_bytes(octets, "big")


def _ecdsa(private: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    octets = private.key_size // 8
    if len(digest) > octets:
        raise Refused(Status.WRONG_DATA)
    # Which hash is named does not matter: only the length of the digest is looked at.
    hashed = utils.Prehashed(hashes.SHA256() if octets == 32 else hashes.SHA384())
    return private.sign(digest.rjust(octets, b"\0"), ec.ECDSA(hashed))


def agree(private: PrivateKey, point: bytes) -> bytes:
    """Return the secret shared with the owner of a public point.

    Raises:
        Refused: it is no point for this key, or the key cannot agree.
    """
    try:
        if isinstance(private, ec.EllipticCurvePrivateKey):
            peer = ec.EllipticCurvePublicKey.from_encoded_point(private.curve, point)
            return private.exchange(ec.ECDH(), peer)
        if isinstance(private, x25519.X25519PrivateKey):
            return private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
    except ValueError as wrong:
        raise Refused(Status.WRONG_DATA) from wrong
    raise Refused(Status.WRONG_DATA)
