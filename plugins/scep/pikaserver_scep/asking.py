"""One message on its way to an answer, and who its answer is sealed for."""

from dataclasses import dataclass

from pikaserver.api.errors import AlgorithmRefused
from pikaserver.api.operations import Entropy
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import KEY_TYPES, key_type
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.enveloped_data import Envelope, seal
from pikaserver.asn1.key_transport import OAEP, PKCS1_V15
from pikaserver.asn1.recipients import (
    KeyAgreementRecipient,
    KeyTransportRecipient,
    PasswordRecipient,
    Recipient,
)
from pikaserver_scep.messages import Message
from pikaserver_scep.registrars import Registrar

DOOR = "scep"
"""What templates call this door."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message with the template that it came for and the keys that can open it."""

    message: Message
    envelope: Envelope
    template: Template
    registrar: Registrar
    address: str | None = None
    client: str | None = None
    """What the client calls itself over HTTP."""

    @property
    def needs_no_password(self) -> bool:
        """Whether answers are sealed by the client's key alone."""
        return kind_of_key(self.message.public_key) == "rsa"

    def recipient(self, password: str | None = None) -> Recipient:
        """Return who the answer is for: the signer, by its key or by the password.

        RFC 8894 section 3.1 wants the password where the key cannot encrypt.  An EC key can,
        by agreement; that is used where there is no password.

        Raises:
            AlgorithmRefused: the key cannot, and there is no password.
        """
        certificate, kind = self.message.certificate, kind_of_key(self.message.public_key)
        if kind == "rsa":
            oaep = self.envelope.transport != PKCS1_V15
            return KeyTransportRecipient(certificate, OAEP if oaep else PKCS1_V15)
        if password:
            return PasswordRecipient(password)
        if kind == "ecdsa":
            return KeyAgreementRecipient(certificate)
        raise AlgorithmRefused("this key cannot decrypt an answer, and there is no password")

    def sealed(
        self,
        entropy: Entropy,
        recipient: Recipient,
        *,
        certificate: bytes | None = None,
        crl: bytes | None = None,
    ) -> bytes:
        """Return what was asked for in an envelope.

        It is encrypted as the request was; who knows single DES is taken to know AES, too, for
        newer libraries do not read DES any more.
        """
        own = self.envelope.cipher.name
        content = certificates_only(
            [certificate] if certificate else [], [crl] if crl is not None else []
        )
        return seal(content, [recipient], entropy, "aes-128-cbc" if own == "des" else own)


def kind_of_key(public_key: bytes) -> str:
    """Return ``rsa``, ``ecdsa``, or what else a key signs with; ``unknown`` for the rest."""
    name = key_type(public_key)
    if name.startswith("rsa-"):
        return "rsa"
    return KEY_TYPES[name].families[0] if name in KEY_TYPES else "unknown"
