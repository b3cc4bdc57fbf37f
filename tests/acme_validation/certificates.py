"""Certificates of servers that are validated."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.testing.throw_away import distinguished_name

NOT_BEFORE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
NOT_AFTER = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)


def self_signed(folder, names=(), extensions=(), signer=None):
    """Return a PEM file with a certificate and its key; with ``signer`` it is not self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(distinguished_name("x"), distinguished_name("x"))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    certificate = builder.sign(signer or key, hashes.SHA256())
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path
