"""Private keys of a node: for frames and for TLS, classical or ML-DSA."""

from datetime import datetime, timedelta
from functools import cache
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hsm_agent.wire.channel_kinds import CLASSICAL_TLS
from hsm_agent.wire.frame_kinds import ED25519
from hsm_agent.wire.tls_abilities import TlsLibrary, tls_library

LIFE = timedelta(days=30 * 365)
"""Long, for what counts is the pin: the certificate only carries the key."""
MlDsaKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
FrameKey: TypeAlias = Ed25519PrivateKey | MlDsaKey
TlsKey: TypeAlias = ec.EllipticCurvePrivateKey | MlDsaKey
_ML_DSA: dict[str, type[MlDsaKey]] = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}
_PROBE_BEGINS = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


def new_frame_key(kind: str) -> FrameKey:
    """Make a key of one of ``hsm_agent.wire.frame_kinds.FRAME_KINDS``."""
    return Ed25519PrivateKey.generate() if kind == ED25519 else _ML_DSA[kind].generate()


def new_tls_key(kind: str) -> TlsKey:
    """Make a key of one of ``hsm_agent.wire.channel_kinds.TLS_KINDS``."""
    if kind == CLASSICAL_TLS:
        return ec.generate_private_key(ec.SECP256R1())
    return _ML_DSA[kind].generate()


def written(key: FrameKey) -> bytes:
    """Return the public half of a frame key as it is told; see `hsm_agent.wire.frame_kinds`."""
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: FrameKey | TlsKey) -> bytes:
    """Return a private key as the TLS library and we read it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(key: TlsKey, name: str, now: datetime, serial: int) -> x509.Certificate:
    """Return a certificate that carries a TLS key of the channel for thirty years."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = key.public_key()
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder(subject, subject, public, serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    )


@cache
def tls_library_here() -> TlsLibrary:
    """Return what this host's TLS library has; it is tried once."""
    key = _ML_DSA["ml-dsa-65"].generate()
    # Nobody verifies it, so any time will do.
    certificate = self_signed(key, "probe", _PROBE_BEGINS, 1)
    return tls_library(private_pem(key) + certificate.public_bytes(Encoding.PEM))
