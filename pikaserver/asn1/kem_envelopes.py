"""EnvelopedData for keys of ML-KEM: KEMRecipientInfo (RFC 9629, RFC 9936), written and opened."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.api.operations import Entropy
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import key_type, public_key
from pikaserver.asn1.content_ciphers import without_padding
from pikaserver.asn1.elements import CONTEXT, INTEGER, OCTET_STRING, SEQUENCE, expect, members
from pikaserver.asn1.enveloped_data import LIMIT_OCTETS, DecryptionFailed, read_parts
from pikaserver.asn1.identifiers import identifier, key_identifier
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES, check_encapsulation_key
from pikaserver.asn1.recipients import AES_WRAP
from pikaserver.asn1.refusing import refusing

Decapsulate = Callable[[bytes], bytes]
"""Makes the shared secret of a ciphertext."""

_ORI_KEM = der.oid("1.2.840.113549.1.9.16.13.3")
_HKDF_SHA256 = identifier("1.2.840.113549.1.9.16.3.28")
_OTHER = 0xA4
_WRAP_OCTETS = {"ml-kem-512": 16, "ml-kem-768": 32, "ml-kem-1024": 32}
_FIELDS = [INTEGER, CONTEXT, SEQUENCE, OCTET_STRING, SEQUENCE, INTEGER, SEQUENCE, OCTET_STRING]


@dataclass(frozen=True, slots=True)
class KemRecipient:
    """The holder of an ML-KEM key, named by its key identifier: it may have no certificate yet."""

    public_key: bytes
    version: int = 3

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """See ``pikaserver.asn1.recipients.Recipient``."""
        check_encapsulation_key(self.public_key)
        name = key_type(self.public_key)
        secret, ciphertext = _encapsulate(self.public_key)
        size = _WRAP_OCTETS[name]
        wrap = identifier(AES_WRAP[size])
        wrapping = _derive(secret, wrap, size)
        value = der.sequence(
            der.integer(0),
            der.context(0, key_identifier(self.public_key), constructed=False),
            KEM_KEY_TYPES[name].identifier,
            der.octet_string(ciphertext),
            _HKDF_SHA256,
            der.integer(size),
            wrap,
            der.octet_string(aes_key_wrap(wrapping, content_key)),
        )
        return der.element(_OTHER, _ORI_KEM, value)


def open_for(octets: bytes, spki: bytes, decapsulate: Decapsulate) -> bytes:
    """Return the content of an envelope whose one recipient has this ML-KEM key.

    Raises:
        MalformedRequest: it is something else, or for another key.
        DecryptionFailed: it does not open.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    with refusing("EnvelopedData"):
        info, cipher, iv, encrypted = read_parts(octets)
        ciphertext, wrap, size, wrapped = _read(info, spki)
    try:
        key = aes_key_unwrap(_derive(decapsulate(ciphertext), wrap, size), wrapped)
    except (InvalidUnwrap, ValueError):
        raise DecryptionFailed from None
    if len(key) != cipher.key_octets:
        raise DecryptionFailed
    content, sound = without_padding(cipher.raw_decrypt(key, iv, encrypted), cipher.block_octets)
    if not sound:
        raise DecryptionFailed
    return content


def _read(info: bytes, spki: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Return ciphertext, how the key is wrapped, with how many octets, and the wrapped key."""
    if info[:1] != bytes((_OTHER,)):
        raise MalformedRequest("not a recipient by ML-KEM")
    # [4] IMPLICIT took the place of SEQUENCE.
    info = bytes((SEQUENCE,)) + info[1:]
    kind, value = members(info, "a recipient by ML-KEM")
    if info[kind.at : kind.end] != _ORI_KEM:
        raise MalformedRequest("not a recipient by ML-KEM")
    parts = members(info, "a KEMRecipientInfo", value.at)
    if [part.tag for part in parts] != _FIELDS:
        raise MalformedRequest("not a KEMRecipientInfo for a key that is named by its identifier")
    _, name, kem, ciphertext, kdf, length, wrap, wrapped = parts
    if info[name.start : name.end] != key_identifier(spki):
        raise MalformedRequest("encrypted for another recipient")
    size = _WRAP_OCTETS.get(key_type(spki), 0)
    number = expect(info, length, INTEGER, "the length of a key")
    wrapping = info[wrap.at : wrap.end]
    if (
        info[kem.at : kem.end] != KEM_KEY_TYPES[key_type(spki)].identifier
        or info[kdf.at : kdf.end] != _HKDF_SHA256
        or int.from_bytes(number, "big") != size
        or wrapping != identifier(AES_WRAP[size])
    ):
        raise MalformedRequest("a KEMRecipientInfo with other algorithms than RFC 9936 wants")
    return (
        info[ciphertext.start : ciphertext.end],
        wrapping,
        size,
        info[wrapped.start : wrapped.end],
    )


def _encapsulate(spki: bytes) -> tuple[bytes, bytes]:
    try:
        key = public_key(spki)
    except MalformedRequest:
        key = None
    if not isinstance(key, mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey):
        raise RequestRejected(f"nothing here encrypts to {key_type(spki)} keys")
    return key.encapsulate()


def _derive(secret: bytes, wrap: bytes, size: int) -> bytes:
    """Return the key that wraps (RFC 9629 section 5): what it is for goes into it."""
    info = der.sequence(wrap, der.integer(size))
    return HKDF(hashes.SHA256(), size, salt=None, info=info).derive(secret)
