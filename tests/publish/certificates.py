"""A small PKI for the targets' own TLS, with all that strict verifiers look for."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pikaserver.clock import system_clock

DAY = timedelta(days=1)
CA_USAGE = {"key_cert_sign": True, "crl_sign": True}
LEAF_USAGE = {"digital_signature": True}
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


class TinyPki:
    """One CA; ``ca`` is the path of its certificate."""

    def __init__(self, folder: Path, name: str = "Target CA") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._own = self._certify(self._name, self._key, CA_USAGE, [])
        self.ca = folder / f"{name.replace(' ', '-')}.pem"
        self.ca.write_bytes(self._own.public_bytes(Encoding.PEM))

    def identity(self, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """Return the paths of a certificate, for servers and clients, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        extensions = [
            x509.SubjectAlternativeName([x509.DNSName(host)]),
            x509.ExtendedKeyUsage(both),
        ]
        made = self._certify(_name(name), key, LEAF_USAGE, extensions)
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(made.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def _certify(self, subject, key, usage, extensions):
        now = system_clock()
        ca = x509.BasicConstraints(ca=usage is CA_USAGE, path_length=None)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        usages = x509.KeyUsage(**{name: usage.get(name, False) for name in USAGES})
        builder = (
            x509.CertificateBuilder(self._name, subject, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
        )
        for extension in (ca, usages):
            builder = builder.add_extension(extension, critical=True)
        for extension in (own, issuer, *extensions):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
