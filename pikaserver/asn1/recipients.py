"""Who can open an envelope: RecipientInfo of CMS (RFC 5652 section 6.2), written.

::

    Recipient
    ├── KeyTransportRecipient    a certificate with an RSA key
    ├── KeyAgreementRecipient    a certificate with an EC key (RFC 5753)
    ├── KemRecipient             an ML-KEM key, see ``kem_envelopes``
    ├── WrappedKeyRecipient      a key that both sides have
    └── PasswordRecipient        a password that both sides know
"""

from dataclasses import dataclass, field
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.errors import RequestRejected
from pikaserver.api.operations import Entropy
from pikaserver.api.signing import KeyTransport
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import public_key
from pikaserver.asn1.certificate import issuer_and_serial, public_key_of
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.key_transport import PKCS1_V15, padding_of, transport_identifier

PBKDF2_ROUNDS = 100_000
"""How often a password is hashed before it wraps a key."""

_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
_ECDH_SHA256 = "1.3.132.1.11.1"
_PBKDF2 = "1.2.840.113549.1.5.12"
_HMAC_SHA256 = "1.2.840.113549.2.9"
_PWRI_KEK = "1.2.840.113549.1.9.16.3.9"
AES_WRAP = {
    16: "2.16.840.1.101.3.4.1.5",
    24: "2.16.840.1.101.3.4.1.25",
    32: "2.16.840.1.101.3.4.1.45",
}
"""AES key wrap (RFC 3394) by the length of its key."""

_WRAP_256 = identifier(AES_WRAP[32])


class Recipient(Protocol):
    """Somebody who can open an envelope."""

    @property
    def version(self) -> int:
        """The least version of EnvelopedData in which it may stand (section 6.1)."""
        ...

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """Return RecipientInfo: the content's key, encrypted for this recipient alone."""
        ...


@dataclass(frozen=True, slots=True)
class KeyTransportRecipient:
    """The holder of an RSA certificate."""

    certificate: bytes
    transport: KeyTransport = PKCS1_V15
    version: int = 0

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """See `Recipient`."""
        key = _key(self.certificate)
        if not isinstance(key, rsa.RSAPublicKey):
            raise RequestRejected("only RSA keys take keys by transport")
        return der.sequence(
            der.integer(0),
            issuer_and_serial(self.certificate),
            transport_identifier(self.transport),
            der.octet_string(key.encrypt(content_key, padding_of(self.transport))),
        )


@dataclass(frozen=True, slots=True)
class KeyAgreementRecipient:
    """The holder of an EC certificate: ECDH with a key that is used once."""

    certificate: bytes
    version: int = 2

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """See `Recipient`."""
        theirs = _key(self.certificate)
        if not isinstance(theirs, ec.EllipticCurvePublicKey):
            raise RequestRejected("only EC keys take keys by agreement")
        ours = ec.generate_private_key(theirs.curve)
        # ECC-CMS-SharedInfo (RFC 5753 section 7.2): what the key is for, and its bits.
        bits = der.context(2, der.octet_string((256).to_bytes(4, "big")))
        kdf = X963KDF(hashes.SHA256(), 32, der.sequence(_WRAP_256, bits))
        wrapping = kdf.derive(ours.exchange(ec.ECDH(), theirs))
        point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        wrapped = der.octet_string(aes_key_wrap(wrapping, content_key))
        originator = identifier(_EC_PUBLIC_KEY) + der.bit_string(point)
        return der.context(
            1,
            der.integer(3)
            + der.context(0, der.context(1, originator))
            + identifier(_ECDH_SHA256, _WRAP_256)
            + der.sequence(der.sequence(issuer_and_serial(self.certificate), wrapped)),
        )


@dataclass(frozen=True, slots=True)
class WrappedKeyRecipient:
    """Whoever has a symmetric key of 16, 24 or 32 octets, by the name that both gave it."""

    name: bytes
    key: bytes = field(repr=False)
    version: int = 2

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """See `Recipient`."""
        if len(self.key) not in AES_WRAP:
            raise RequestRejected("a key that wraps others has 16, 24 or 32 octets")
        return der.context(
            2,
            der.integer(4)
            + der.sequence(der.octet_string(self.name))
            + identifier(AES_WRAP[len(self.key)])
            + der.octet_string(aes_key_wrap(self.key, content_key)),
        )


@dataclass(frozen=True, slots=True)
class PasswordRecipient:
    """Whoever knows a password (RFC 3211); for keys that cannot encrypt (RFC 8894 section 3.1)."""

    password: str = field(repr=False)
    version: int = 3

    def info(self, content_key: bytes, entropy: Entropy) -> bytes:
        """See `Recipient`."""
        salt, cipher = entropy(16), CONTENT_CIPHERS["aes-256-cbc"]
        iv = entropy(cipher.block_octets)
        derived = PBKDF2HMAC(hashes.SHA256(), cipher.key_octets, salt, PBKDF2_ROUNDS).derive(
            self.password.encode()
        )
        parameters = der.sequence(
            der.octet_string(salt),
            der.integer(PBKDF2_ROUNDS),
            identifier(_HMAC_SHA256, der.null()),
        )
        derivation = der.sequence(der.oid(_PBKDF2), parameters)
        return der.context(
            3,
            der.integer(0)
            # [0] IMPLICIT: the tag takes the place of SEQUENCE.
            + bytes((0xA0,))
            + derivation[1:]
            + identifier(_PWRI_KEK, cipher.identifier(iv))
            + der.octet_string(_twice(derived, iv, content_key, entropy)),
        )


def _twice(key: bytes, iv: bytes, content_key: bytes, entropy: Entropy) -> bytes:
    """Wrap a key as RFC 3211 section 2.3.1 does: encrypted twice, so every bit counts."""
    cipher = CONTENT_CIPHERS["aes-256-cbc"]
    check = bytes(octet ^ 0xFF for octet in content_key[:3])
    block = bytes([len(content_key)]) + check + content_key
    least = max(len(block), 2 * cipher.block_octets)
    block += entropy(-least % cipher.block_octets + least - len(block))
    once = cipher.raw_encrypt(key, iv, block)
    return cipher.raw_encrypt(key, once[-cipher.block_octets :], once)


def _key(certificate: bytes) -> object:
    return public_key(public_key_of(x509.load_der_x509_certificate(certificate)))
