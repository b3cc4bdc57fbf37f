"""What is inside of envelopes of tests, and who opens them."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from pikaserver.asn1 import der
from pikaserver.asn1.enveloped_data import (
    open_,
    read_envelope,
)
from pikaserver.signing.software_signers import make_decrypter
from pikaserver.testing.clock import CountedEntropy

CONTENT = der.sequence(der.octet_string(b"what is inside"), der.integer(4711))
START = datetime(2026, 1, 1, tzinfo=UTC)


class Holder:
    """Somebody with a key and a certificate over it; implements `DecryptionKey`."""

    def __init__(self, key, name="holder"):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 4711)
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=10))
            .sign(key, hashes.SHA256())
        )
        self.key = key
        self.certificate = built.public_bytes(Encoding.DER)
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.decrypt = (
            make_decrypter(key, spki).decrypt if isinstance(key, rsa.RSAPrivateKey) else None
        )

    def write(self, folder):
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(pem)
        certificate = der.write_pem("CERTIFICATE", self.certificate)
        (folder / "cert.pem").write_bytes(certificate)
        return ["-inkey", folder / "key.pem", "-recip", folder / "cert.pem"]


def opened(envelope, *keys, read=bytes):
    return open_(read_envelope(envelope), keys, CountedEntropy("open"), read)
