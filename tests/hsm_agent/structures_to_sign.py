"""Structures that a server might ask an agent to sign; all for keys on P-256."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

ANY_KEY = ec.derive_private_key(7, ec.SECP256R1())
ANY_SPKI = ANY_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def time_of(now, **later):
    return datetime.fromtimestamp(now / 1000, UTC).replace(microsecond=0) + timedelta(**later)


def _name(text):
    return x509.Name.from_rfc4514_string(text)


def leaf_tbs(now, *, issuer="CN=issuing", serial=7, name="www.example.com", days=90, ca=False):
    """Return a TBSCertificate."""
    builder = _builder(now, issuer, f"CN={name}", serial, days, ANY_SPKI)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(purpose, critical=False)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    return _tbs(builder.add_extension(names, critical=False))


def self_signed_tbs(public_key, now, name, serial=1):
    """Return the TBSCertificate of a root."""
    return _tbs(_authority(_builder(now, name, name, serial, 3650, public_key)))


def authority_tbs(now, *, issuer="CN=root", subject="CN=sub", serial=9, days=1000):
    """Return the TBSCertificate of an authority below."""
    return _tbs(_authority(_builder(now, issuer, subject, serial, days, ANY_SPKI)))


def certificate(signer, now, *, subject, public_key, issuer="CN=outside root"):
    """Return an authority's certificate in DER."""
    builder = _authority(_builder(now, issuer, subject, 1, 3650, public_key))
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER)


def crl_tbs(now, *, number=1, serials=(), issuer="CN=issuing"):
    """Return a TBSCertList."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(_name(issuer))
        .last_update(time_of(now))
        .next_update(time_of(now, days=7))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial)
        builder = builder.add_revoked_certificate(revoked.revocation_date(time_of(now)).build())
    return builder.sign(ANY_KEY, hashes.SHA256()).tbs_certlist_bytes


def csr_tbs(public_key_of=ANY_KEY):
    """Return a CertificationRequestInfo."""
    builder = x509.CertificateSigningRequestBuilder(_name("CN=sub"))
    return builder.sign(public_key_of, hashes.SHA256()).tbs_certrequest_bytes


def with_signature(tbs, signature):
    """Put a signature with ecdsa-sha256 under its octets."""
    bits = b"\0" + signature
    content = tbs + ECDSA_SHA256 + b"\x03" + _length(len(bits)) + bits
    return b"\x30" + _length(len(content)) + content


def _length(octets):
    if octets < 0x80:
        return bytes([octets])
    length = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(length)]) + length


def _builder(now, issuer, subject, serial, days, public_key):
    return x509.CertificateBuilder(
        _name(issuer),
        _name(subject),
        load_der_public_key(public_key),
        serial,
        time_of(now, hours=-1),
        time_of(now, days=days),
    )


def _authority(builder):
    return builder.add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    ).add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)


def _usage(**allowed):
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


def _tbs(builder):
    return builder.sign(ANY_KEY, hashes.SHA256()).tbs_certificate_bytes
