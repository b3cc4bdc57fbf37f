"""What the card's private operation is given: a padded block, a digest, or the message itself.

The card knows neither hashes nor paddings: RSA is the raw operation over one block of the
modulus's length, ECDSA takes a digest, Ed25519 the whole message.
"""

import hashlib
from collections.abc import Callable

from hsm_agent.stores.store import Unsupported

Entropy = Callable[[int], bytes]

_DIGEST_INFO = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What stands before the hash in a DigestInfo (RFC 8017 section 9.2, note 1)."""
_PADDING = 0xFF
_TRAILER = b"\xbc"


def block_to_sign(key_type: str, algorithm: str, data: bytes, entropy: Entropy) -> bytes:
    """Return what a key of this type has to be given for this signature over ``data``.

    Raises:
        Unsupported: the key has no such algorithm.
    """
    family, _, hash_name = algorithm.rpartition("-")
    kind, _, size = key_type.partition("-")
    if algorithm == key_type == "ed25519":
        return data
    if hash_name in _DIGEST_INFO:
        if kind == "rsa" and family == "rsa":
            return pkcs1_block(int(size) // 8, hash_name, data)
        if kind == "rsa" and family == "rsa-pss":
            return pss_block(int(size), hash_name, data, entropy)
        if kind == "ec" and family == "ecdsa":
            return ecdsa_digest(int(size.removeprefix("p")) // 8, hash_name, data)
    raise Unsupported(f"a key of type {key_type} does not sign with {algorithm}")


def pkcs1_block(octets: int, hash_name: str, data: bytes) -> bytes:
    """Return EMSA-PKCS1-v1_5 of a message (RFC 8017 section 9.2)."""
    info = _DIGEST_INFO[hash_name] + hashlib.new(hash_name, data).digest()
    filler = bytes([_PADDING]) * (octets - len(info) - 3)
    return b"\x00\x01" + filler + b"\x00" + info


def pss_block(bits: int, hash_name: str, data: bytes, entropy: Entropy) -> bytes:
    """Return EMSA-PSS of a message (RFC 8017 section 9.1.1), the salt as long as the hash.

    ``bits`` is the modulus's length; a YubiKey's is always a multiple of eight, so that the
    encoded message has as many octets as the modulus, with its highest bit clear.
    """
    digest = hashlib.new(hash_name, data).digest()
    salt = entropy(len(digest))
    hashed = hashlib.new(hash_name, bytes(8) + digest + salt).digest()
    room = bits // 8 - len(hashed) - 1
    database = bytes(room - len(salt) - 1) + b"\x01" + salt
    mask = _mgf1(hash_name, hashed, room)
    masked = bytearray(one ^ two for one, two in zip(database, mask, strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + hashed + _TRAILER


def ecdsa_digest(octets: int, hash_name: str, data: bytes) -> bytes:
    """Return the hash as the curve takes it: its leftmost octets, zeros before a short one.

    FIPS 186-5 section 6.4.1 step 2 cuts on the right; a shorter hash is a smaller number.
    """
    return hashlib.new(hash_name, data).digest()[:octets].rjust(octets, b"\x00")


def _mgf1(hash_name: str, seed: bytes, octets: int) -> bytes:
    """RFC 8017 appendix B.2.1."""
    mask = b""
    counter = 0
    while len(mask) < octets:
        mask += hashlib.new(hash_name, seed + counter.to_bytes(4, "big")).digest()
        counter += 1
    return mask[:octets]
