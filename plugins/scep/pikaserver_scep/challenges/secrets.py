"""Secrets as they are kept: hashed, slowly where a person chose them."""

import base64
import hashlib
import threading
from dataclasses import dataclass
from hmac import compare_digest

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from pikaserver.api.errors import RequestRejected
from pikaserver.api.operations import Entropy

SALT_OCTETS = 16
SECRET_OCTETS = 20
SHORTEST = 8
LONGEST_OCTETS = 1024

# RFC 9106 section 4, second choice: 64 MiB, three passes.
_LANES, _PASSES, _MEMORY_KIB = 4, 3, 64 * 1024
# Each takes 64 MiB: guesses queue up, and memory does not go with their number.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class HashedSecret:
    """A secret that can be recognised and not be read."""

    salt: bytes
    hash: bytes
    slow: bool

    def fits(self, secret: str) -> bool:
        """Tell whether this is the secret."""
        octets = secret.encode()
        if len(octets) > LONGEST_OCTETS:
            return False
        return compare_digest(self.hash, _hashed(octets, self.salt, slow=self.slow))


def new_secret(entropy: Entropy) -> str:
    """Return a secret of 160 bits in letters and digits that devices can be given."""
    return base64.b32encode(entropy(SECRET_OCTETS)).decode().lower()


def hashed(secret: str, entropy: Entropy, *, chosen: bool) -> HashedSecret:
    """Return what is kept of a secret.

    Args:
        secret: the secret itself.
        entropy: for the salt.
        chosen: a person chose it, so it may be guessed: it is hashed by Argon2id.

    Raises:
        RequestRejected: it is too short, or longer than a CSR should carry.
    """
    octets = secret.encode()
    if len(secret) < SHORTEST or len(octets) > LONGEST_OCTETS:
        raise RequestRejected(
            f"a passphrase has at least {SHORTEST} characters and at most {LONGEST_OCTETS} octets"
        )
    salt = entropy(SALT_OCTETS)
    return HashedSecret(salt, _hashed(octets, salt, slow=chosen), chosen)


def digest(secret: str) -> bytes:
    """Return by what a secret of 128 random bits or more is found."""
    return hashlib.sha256(secret.encode()).digest()


def _hashed(octets: bytes, salt: bytes, *, slow: bool) -> bytes:
    if not slow:
        return hashlib.sha256(salt + octets).digest()
    with _ONE_AT_A_TIME:
        return Argon2id(
            salt=salt, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB
        ).derive(octets)
