"""Lists of keys whose private half is known or can be guessed, in three formats.

* Debian's ``blacklist.RSA-2048``: a line per modulus, the last 20 hexadecimal digits of the
  SHA-1 of ``Modulus=<HEX>`` and a newline (CVE-2008-0166);
* badkeys' ``blocklist.dat``: sorted records of 16 octets, 15 of a SHA-256 and one that names
  the collection;
* our own: a line per key, the SHA-256 of its SubjectPublicKeyInfo in 64 hexadecimal digits.

In the first and the last, ``#`` begins a comment.
"""

import mmap
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1, sha256
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pikaserver.api.errors import ConfigurationError
from pikaserver.asn1.identifiers import key_bits

Fingerprint = Callable[[bytes, PublicKeyTypes | None], bytes]
"""Makes of a SubjectPublicKeyInfo, and of the same key loaded, what a list looks it up by."""

_BADKEYS_RECORD = 16
_PROBE_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class KeyList:
    """Sorted records of equal length, each beginning with the fingerprint of one bad key."""

    name: str
    octets: bytes | mmap.mmap
    record_octets: int
    fingerprint: Fingerprint

    def __len__(self) -> int:
        return len(self.octets) // self.record_octets

    def __getitem__(self, index: int) -> bytes:
        at = index * self.record_octets
        return bytes(self.octets[at : at + self.record_octets])

    def has(self, spki: bytes, key: PublicKeyTypes | None) -> bool:
        """Say whether a key is on the list; both are the same key, which may not be loaded."""
        wanted = self.fingerprint(spki, key)
        # A record that begins with the fingerprint is not smaller than the fingerprint alone.
        at = bisect_left(self, wanted)
        return bool(wanted) and at < len(self) and self[at].startswith(wanted)


def built_in_key_list() -> KeyList:
    """Return the list that ships with us: keys printed in RFCs, leaked, or trivial."""
    package = resources.files("pikaserver.authority.key_policy")
    return _text_list("known-keys.txt", package.joinpath("known-keys.txt").read_bytes())


def read_key_list(path: Path) -> KeyList:
    """Return the list in a file; its format is told by its content.

    Raises:
        ConfigurationError: the file is missing, empty, or in none of the formats.
    """
    try:
        with path.open("rb") as file:
            probe = file.read(_PROBE_OCTETS)
            if not probe:
                raise ConfigurationError(f"the key list {path} is empty")
            if probe.isascii():
                return _text_list(path.name, probe + file.read())
            # 60 MB that are searched where they lie; the mapping outlives the open file.
            octets = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as problem:
        raise ConfigurationError(f"the key list {path} cannot be read: {problem}") from None
    found = KeyList(path.name, octets, _BADKEYS_RECORD, _badkeys_fingerprint)
    if len(octets) % _BADKEYS_RECORD or found[0] > found[len(found) - 1]:
        raise ConfigurationError(f"the key list {path} is not a sorted list of 16-octet records")
    return found


def _text_list(name: str, text: bytes) -> KeyList:
    lines = (line.partition(b"#")[0].strip() for line in text.splitlines())
    try:
        records = sorted({bytes.fromhex(line.decode("ascii")) for line in lines if line})
    except ValueError:
        raise ConfigurationError(
            f"the key list {name} has a line that is not hexadecimal"
        ) from None
    sizes = {len(record) for record in records}
    fingerprint = _TEXT_FORMATS.get(sizes.pop()) if len(sizes) == 1 else None
    if fingerprint is None:
        raise ConfigurationError(
            f"the key list {name} has neither 20 (Debian) nor 64 (SHA-256) digits in each line"
        )
    return KeyList(name, b"".join(records), len(records[0]), fingerprint)


def _spki_fingerprint(spki: bytes, _key: PublicKeyTypes | None) -> bytes:
    return sha256(spki).digest()


def _debian_fingerprint(_spki: bytes, key: PublicKeyTypes | None) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey):
        return b""
    line = f"Modulus={key.public_numbers().n:X}\n".encode()
    return sha1(line, usedforsecurity=False).digest()[10:]


def _badkeys_fingerprint(spki: bytes, key: PublicKeyTypes | None) -> bytes:
    """Hash the one number that stands for a key, without leading zeros."""
    value = key_bits(spki)
    if isinstance(key, rsa.RSAPublicKey):
        value = _octets(key.public_numbers().n)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        value = _octets(key.public_numbers().x)
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        value = value.lstrip(b"\0")
    return sha256(value).digest()[: _BADKEYS_RECORD - 1]


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


_TEXT_FORMATS: dict[int, Fingerprint] = {10: _debian_fingerprint, 32: _spki_fingerprint}
