"""Ciphers that encrypt contents in CMS: AES-CBC (RFC 3565), and older ones for old devices."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from pikaserver.api.errors import AlgorithmRefused
from pikaserver.asn1 import der
from pikaserver.asn1.elements import OCTET_STRING, OID, dotted, expect, members
from pikaserver.asn1.identifiers import identifier

_DES_OCTETS = 8


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """One block cipher in CBC mode; ``legacy`` are those that nobody should use any more."""

    name: str
    oid: str
    key_octets: int
    block_octets: int
    legacy: bool

    def identifier(self, iv: bytes) -> bytes:
        """Return the AlgorithmIdentifier with an initialisation vector."""
        return identifier(self.oid, der.octet_string(iv))

    def encrypt(self, key: bytes, iv: bytes, content: bytes) -> bytes:
        """Return the content padded (RFC 5652 section 6.3) and encrypted."""
        missing = self.block_octets - len(content) % self.block_octets
        return self.raw_encrypt(key, iv, content + bytes([missing]) * missing)

    def raw_encrypt(self, key: bytes, iv: bytes, blocks: bytes) -> bytes:
        """Return whole blocks encrypted, without any padding."""
        encryptor = Cipher(self._algorithm(key), CBC(iv)).encryptor()
        return encryptor.update(blocks) + encryptor.finalize()

    def raw_decrypt(self, key: bytes, iv: bytes, blocks: bytes) -> bytes:
        """Return whole blocks decrypted; the padding is still there."""
        decryptor = Cipher(self._algorithm(key), CBC(iv)).decryptor()
        return decryptor.update(blocks) + decryptor.finalize()

    def _algorithm(self, key: bytes) -> BlockCipherAlgorithm:
        if self.block_octets != _DES_OCTETS:
            return AES(key)
        # Single DES is Triple-DES with the same key three times.
        return TripleDES(key * 3 if self.key_octets == _DES_OCTETS else key)


CONTENT_CIPHERS: Mapping[str, ContentCipher] = MappingProxyType(
    {
        cipher.name: cipher
        for cipher in (
            ContentCipher("aes-128-cbc", "2.16.840.1.101.3.4.1.2", 16, 16, legacy=False),
            ContentCipher("aes-192-cbc", "2.16.840.1.101.3.4.1.22", 24, 16, legacy=False),
            ContentCipher("aes-256-cbc", "2.16.840.1.101.3.4.1.42", 32, 16, legacy=False),
            ContentCipher("3des", "1.2.840.113549.3.7", 24, 8, legacy=True),
            ContentCipher("des", "1.3.14.3.2.7", 8, 8, legacy=True),
        )
    }
)
"""All ciphers that we read, by our names."""

_BY_OID = {cipher.oid: cipher for cipher in CONTENT_CIPHERS.values()}


def read_cipher(octets: bytes) -> tuple[ContentCipher, bytes]:
    """Return the cipher of an AlgorithmIdentifier and its initialisation vector.

    Raises:
        AlgorithmRefused: it is none of ours; authenticated modes belong to another structure.
        MalformedRequest: it cannot be read.
    """
    kind, *parameters = members(octets, "a cipher's AlgorithmIdentifier")
    oid = dotted(expect(octets, kind, OID, "a cipher's OID"))
    cipher = _BY_OID.get(oid)
    if cipher is None:
        raise AlgorithmRefused(f"the cipher {oid} is not accepted")
    if len(parameters) != 1 or parameters[0].tag != OCTET_STRING:
        raise AlgorithmRefused(f"{cipher.name} without an initialisation vector")
    iv = octets[parameters[0].start : parameters[0].end]
    if len(iv) != cipher.block_octets:
        raise AlgorithmRefused(f"{cipher.name} with an initialisation vector of {len(iv)} octets")
    return cipher, iv


def without_padding(octets: bytes, block_octets: int) -> tuple[bytes, bool]:
    """Return the octets without their padding, and whether that was sound.

    Unsound padding raises nothing: whoever asks goes on as if it were sound, so that nobody
    can tell the difference by the time it takes.
    """
    size = octets[-1]
    whole = 1 <= size <= block_octets
    count = size if whole else 1
    sound = hmac.compare_digest(octets[-count:], bytes([count]) * count)
    return octets[:-count], sound and whole
