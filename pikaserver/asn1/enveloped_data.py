"""CMS EnvelopedData (RFC 5652 section 6): contents sealed for recipients, and opened again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.operations import Entropy
from pikaserver.api.services import DecryptionKey
from pikaserver.api.signing import KeyTransport
from pikaserver.asn1 import der
from pikaserver.asn1.ber import definite
from pikaserver.asn1.certificate import issuer_and_serial, public_key_of, read_certificate
from pikaserver.asn1.content_ciphers import (
    CONTENT_CIPHERS,
    ContentCipher,
    read_cipher,
    without_padding,
)
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    children,
    expect,
    members,
    read_element,
)
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.key_transport import read_transport
from pikaserver.asn1.recipients import Recipient
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.signed_data import DATA

ENVELOPED_DATA = "1.2.840.113549.1.7.3"
LIMIT_OCTETS = 256 * 1024

_ENVELOPED_DATA = der.oid(ENVELOPED_DATA)
_FIRST = CONTEXT | CONSTRUCTED
_Value = TypeVar("_Value")


class DecryptionFailed(MalformedRequest):
    """The content cannot be decrypted or read; which of the two nobody is told."""

    def __init__(self) -> None:
        super().__init__("the content cannot be decrypted")


@dataclass(frozen=True, slots=True)
class Envelope:
    """EnvelopedData for one recipient by RSA, read and not opened.

    ``recipient`` is IssuerAndSerialNumber in DER, or ``[0]`` with a key identifier.
    """

    recipient: bytes
    transport: KeyTransport
    encrypted_key: bytes
    cipher: ContentCipher
    iv: bytes
    encrypted: bytes

    def is_for(self, certificate: bytes) -> bool:
        """Tell whether the recipient is the holder of this certificate."""
        if self.recipient[0] == SEQUENCE:
            return self.recipient == issuer_and_serial(certificate)
        public_key = public_key_of(read_certificate(certificate))
        return self.recipient[2:] == key_identifier(public_key)


def seal(
    content: bytes,
    recipients: Sequence[Recipient],
    entropy: Entropy,
    cipher: str = "aes-256-cbc",
    *,
    content_type: str = DATA,
) -> bytes:
    """Return ContentInfo with EnvelopedData that each of the recipients can open.

    Raises:
        RequestRejected: a recipient's key cannot do what it should.
    """
    chosen = CONTENT_CIPHERS[cipher]
    key, iv = entropy(chosen.key_octets), entropy(chosen.block_octets)
    infos = [recipient.info(key, entropy) for recipient in recipients]
    encrypted = chosen.encrypt(key, iv, content)
    return der.sequence(
        _ENVELOPED_DATA,
        der.context(
            0,
            der.sequence(
                der.integer(max(recipient.version for recipient in recipients)),
                der.set_of(*infos),
                der.sequence(
                    der.oid(content_type),
                    chosen.identifier(iv),
                    der.context(0, encrypted, constructed=False),
                ),
            ),
        ),
    )


def read_envelope(octets: bytes, *, limit_octets: int = LIMIT_OCTETS) -> Envelope:
    """Read ContentInfo with EnvelopedData for one recipient by RSA; BER is read as well.

    More than one recipient is refused: with two of them, whoever knows one content key could
    ask whether another one opens (CVE-2019-1563).

    Raises:
        AlgorithmRefused: a cipher, or a way to carry keys, that is not accepted.
        MalformedRequest: it is something else.
    """
    octets = definite(octets, limit_octets=limit_octets)
    der.check(octets, limit_octets=limit_octets)
    with refusing("EnvelopedData"):
        return _read(octets)


def read_parts(octets: bytes) -> tuple[bytes, ContentCipher, bytes, bytes]:
    """Return the one RecipientInfo of EnvelopedData, its cipher, vector and encrypted content.

    Raises:
        AlgorithmRefused: a cipher that is not accepted.
        MalformedRequest: it is something else, or has more than one recipient.
    """
    infos, content = _fields(octets)
    info = _only(octets, infos, "recipient")
    return octets[info.at : info.end], *_content(octets, content)


def _read(octets: bytes) -> Envelope:
    infos, content = _fields(octets)
    recipient, transport, encrypted_key = _recipient(octets, infos)
    cipher, iv, encrypted = _content(octets, content)
    return Envelope(recipient, transport, encrypted_key, cipher, iv, encrypted)


def _fields(octets: bytes) -> tuple[Element, Element]:
    parts = members(octets, "a ContentInfo")
    tags = [part.tag for part in parts]
    if tags[1:] != [_FIRST] or octets[parts[0].at : parts[0].end] != _ENVELOPED_DATA:
        raise MalformedRequest("not an EnvelopedData")
    fields = members(octets, "an EnvelopedData", _only(octets, parts[1], "EnvelopedData").at)
    if [field.tag for field in fields[:3]] != [INTEGER, SET, SEQUENCE]:
        raise MalformedRequest("not an EnvelopedData, or one with an originator")
    return fields[1], fields[2]


def _only(octets: bytes, outer: Element, what: str) -> Element:
    found = list(children(octets, outer.at))
    if len(found) != 1:
        raise MalformedRequest(f"expected one {what}, found {len(found)}")
    return found[0]


def _recipient(octets: bytes, infos: Element) -> tuple[bytes, KeyTransport, bytes]:
    info = _only(octets, infos, "recipient")
    parts = members(octets, "a recipient by key transport", info.at)
    tags = [part.tag for part in parts]
    if tags not in (
        [INTEGER, SEQUENCE, SEQUENCE, OCTET_STRING],
        [INTEGER, CONTEXT, SEQUENCE, OCTET_STRING],
    ):
        raise MalformedRequest("not a recipient by key transport")
    _, name, algorithm, key = parts
    transport = read_transport(octets[algorithm.at : algorithm.end])
    return octets[name.at : name.end], transport, octets[key.start : key.end]


def _content(octets: bytes, content: Element) -> tuple[ContentCipher, bytes, bytes]:
    parts = members(octets, "an EncryptedContentInfo", content.at)
    if len(parts) != 3:  # noqa: PLR2004 - type, algorithm, content
        raise MalformedRequest("an EnvelopedData without content")
    _, algorithm, encrypted = parts
    expect(octets, algorithm, SEQUENCE, "a cipher")
    cipher, iv = read_cipher(octets[algorithm.at : algorithm.end])
    blocks = _encrypted(octets, encrypted)
    if not blocks or len(blocks) % cipher.block_octets:
        raise MalformedRequest("the encrypted content is not a number of whole blocks")
    return cipher, iv, blocks


def _encrypted(octets: bytes, encrypted: Element) -> bytes:
    if encrypted.tag == CONTEXT:
        return octets[encrypted.start : encrypted.end]
    # BER lets it come in pieces, like any OCTET STRING.
    expect(octets, encrypted, _FIRST, "the encrypted content")
    pieces = children(octets, encrypted.at)
    return b"".join(expect(octets, piece, OCTET_STRING, "a piece") for piece in pieces)


def open_(
    envelope: Envelope,
    keys: Sequence[DecryptionKey],
    entropy: Entropy,
    read: Callable[[bytes], _Value],
) -> _Value:
    """Open an envelope and read what is in it.

    A key that does not open is replaced by a random one (RFC 3218 section 2.3.2), unsound
    padding is passed over, and `read` is asked in any case: all that can go wrong takes the
    same way and has the same answer.

    Args:
        envelope: what was received.
        keys: those that may be meant.
        entropy: for the random key.
        read: reads the content, and raises `MalformedRequest` where it is not what it should
            be: the signature of a request belongs into it.

    Raises:
        MalformedRequest: it is for somebody else.
        DecryptionFailed: it could not be decrypted, or not be read.
    """
    key = next((key for key in keys if envelope.is_for(key.certificate)), None)
    if key is None:
        raise MalformedRequest("encrypted for another recipient")
    cipher = envelope.cipher
    random_key = entropy(cipher.key_octets)
    found = key.decrypt(envelope.encrypted_key, envelope.transport)
    content_key = found if len(found) == cipher.key_octets else random_key
    blocks = cipher.raw_decrypt(content_key, envelope.iv, envelope.encrypted)
    content, sound = without_padding(blocks, cipher.block_octets)
    try:
        value = read(content if sound else _as_if_sound(blocks, cipher.block_octets))
    except MalformedRequest:
        raise DecryptionFailed from None
    if not sound:
        raise DecryptionFailed
    return value


def _as_if_sound(blocks: bytes, block_octets: int) -> bytes:
    """Return what would be read if the padding were sound."""
    try:
        end = read_element(blocks, 0).end
    except MalformedRequest:
        end = 0
    least = len(blocks) - block_octets
    return blocks[: end if least <= end < len(blocks) else -1]
