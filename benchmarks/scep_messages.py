"""SCEP messages made beforehand, by one RSA-2048 device that goes by many names."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from pikaserver.asn1 import der
from pikaserver.asn1 import scep_attributes as attributes
from pikaserver.asn1.digests import digest
from pikaserver.asn1.enveloped_data import ENVELOPED_DATA, Envelope, read_envelope, seal
from pikaserver.asn1.key_transport import transport_identifier
from pikaserver.asn1.recipients import KeyTransportRecipient
from pikaserver.asn1.signed_data import DATA, Signed, signed_attributes, signed_data
from pikaserver.clock import system_clock, system_entropy

PKCS_REQ = "19"


class Maker:
    """Makes PKCSReq for one authority."""

    def __init__(self, recipient: bytes, password: str) -> None:
        self._key = rsa.generate_private_key(65_537, 2048)
        self._recipient = recipient
        self._password = password
        name, now = _name("maker"), system_clock()
        self._certificate = (
            x509.CertificateBuilder(name, name, self._key.public_key(), 1)
            .not_valid_before(now)
            .not_valid_after(now.replace(year=now.year + 1))
            .sign(self._key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )

    def request(self, number: int) -> bytes:
        """Return the n-th message."""
        return self.message(self.envelope(number), number)

    def envelope(self, number: int) -> bytes:
        """Return the n-th request in its envelope."""
        csr = (
            x509.CertificateSigningRequestBuilder(_name(f"device-{number}"))
            .add_attribute(AttributeOID.CHALLENGE_PASSWORD, self._password.encode())
            .sign(self._key, hashes.SHA256())
        )
        recipients = [KeyTransportRecipient(self._recipient)]
        return seal(csr.public_bytes(Encoding.DER), recipients, system_entropy, "aes-128-cbc")

    def message(self, envelope: bytes, number: int) -> bytes:
        """Return an envelope as a message."""
        octets = signed_attributes(
            DATA,
            digest("sha256", envelope),
            attributes.printable(attributes.MESSAGE_TYPE, PKCS_REQ),
            attributes.printable(attributes.TRANSACTION_ID, f"transaction-{number}"),
            attributes.nonce(attributes.SENDER_NONCE, system_entropy(16)),
        )
        signature = self._key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        signed = Signed(self._certificate, "rsa-sha256", octets, signature)
        return signed_data(DATA, envelope, signed, [self._certificate])

    def opened(self, number: int) -> Envelope:
        """Return the parts of an envelope, to be changed and written again."""
        return read_envelope(self.envelope(number))


def written(envelope: Envelope) -> bytes:
    """Return an envelope in DER, whatever was changed in it."""
    info = der.sequence(
        der.integer(0),
        envelope.recipient,
        transport_identifier(envelope.transport),
        der.octet_string(envelope.encrypted_key),
    )
    content = der.sequence(
        der.oid(DATA),
        envelope.cipher.identifier(envelope.iv),
        der.context(0, envelope.encrypted, constructed=False),
    )
    data = der.sequence(der.integer(0), der.set_of(info), content)
    return der.sequence(der.oid(ENVELOPED_DATA), der.context(0, data))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
