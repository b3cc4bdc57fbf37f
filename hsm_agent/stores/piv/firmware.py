"""What a firmware must not be asked to do, in sentences that name the way out.

A YubiKey's firmware cannot be updated: an old card stays as it is.
"""

from functools import cache, lru_cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.stores.piv.names import KEY_TYPES

Version = tuple[int, int, int]

NEW_KEY_TYPES: Version = (5, 7, 0)
"""RSA-3072, RSA-4096 and Ed25519 came with it, and ECDSA that does not leak (YSA-2024-03)."""
ROCA_FIRST: Version = (4, 2, 0)
ROCA_FIXED: Version = (4, 3, 5)
_FROM_5_7 = {"rsa-3072", "rsa-4096", "ed25519"}
_ROCA_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def version_text(firmware: Version) -> str:
    """Return it as people write it."""
    return ".".join(map(str, firmware))


def key_types(firmware: Version, accepted: str = "") -> tuple[str, ...]:
    """Return the key types that a card of this firmware may make."""
    return tuple(name for name in KEY_TYPES if not refuse_new_key(firmware, name, accepted))


def refuse_use(firmware: Version, key_type: str, accepted: str = "") -> str:
    """Say why no key of this type signs on this firmware; empty where it may.

    ``accepted`` is a firmware whose leaking ECDSA somebody knows of and accepts.
    """
    text = version_text(firmware)
    if key_type not in KEY_TYPES:
        return f"{key_type} is no type for a key that signs certificates"
    if firmware < NEW_KEY_TYPES and key_type in _FROM_5_7:
        return f"{key_type} needs firmware 5.7, this YubiKey has {text}"
    if firmware < NEW_KEY_TYPES and key_type.startswith("ec-") and accepted != text:
        return (
            f"firmware {text} leaks EC keys to whoever holds the card and can measure it"
            " (EUCLEAK, YSA-2024-03): take a YubiKey with firmware 5.7, or rsa-2048;"
            f' accept-firmware = "{text}" in the settings accepts it knowingly'
        )
    return ""


def refuse_new_key(firmware: Version, key_type: str, accepted: str = "") -> str:
    """Say why the card must not make such a key; empty where it may."""
    if key_type.startswith("rsa-") and ROCA_FIRST <= firmware < ROCA_FIXED:
        return (
            f"firmware {version_text(firmware)} makes RSA keys that can be factored"
            " (ROCA, YSA-2017-01): take a newer YubiKey, or import a key that was made elsewhere"
        )
    return refuse_use(firmware, key_type, accepted)


def refuse_policy(*, fips: bool, pin_policy: str) -> str:
    """Say why the card will not have a key with these rules; empty where it will."""
    if fips and pin_policy == "never":
        return "a YubiKey FIPS makes no key with PIN policy never: choose once or always"
    return ""


@lru_cache(maxsize=256)
def refuse_public_key(public_key: bytes) -> str:
    """Say why this very key must not be used; empty where it may.

    RSA keys of the library that ROCA befell are known by their modulus: modulo small primes it
    is always a power of 65537.  By chance that happens to one key in 200 million.
    """
    key = load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey):
        return ""
    modulus = key.public_numbers().n
    if all(modulus % prime in _powers(prime) for prime in _ROCA_PRIMES):
        return "this RSA key can be factored (ROCA, YSA-2017-01): replace it"
    return ""


@cache
def _powers(prime: int) -> frozenset[int]:
    """Return every power of 65537 modulo a prime."""
    found = {1}
    power = 65537 % prime
    while power not in found:
        found.add(power)
        power = power * 65537 % prime
    return frozenset(found)
