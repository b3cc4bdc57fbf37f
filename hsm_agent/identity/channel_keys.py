"""Private keys of the channel: for frames and for TLS, classical or ML-DSA."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hsm_agent import clock
from hsm_agent.faults import SettingsFault
from hsm_agent.wire.channel_kinds import (
    CLASSICAL_TLS,
    TLS_KINDS,
    Abilities,
    ChannelKinds,
    abilities,
)
from hsm_agent.wire.frame_kinds import ED25519, FRAME_KINDS
from hsm_agent.wire.tls_abilities import TlsLibrary, explain_missing, tls_library

MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
FrameKey = Ed25519PrivateKey | MlDsaKey
TlsKey = ec.EllipticCurvePrivateKey | MlDsaKey
_ML_DSA: dict[str, type[MlDsaKey]] = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}
_PUBLIC = {
    "ml-dsa-44": mldsa.MLDSA44PublicKey,
    "ml-dsa-65": mldsa.MLDSA65PublicKey,
    "ml-dsa-87": mldsa.MLDSA87PublicKey,
}

LIFE = timedelta(days=30 * 365)
"""Long, for what counts is the pin: the certificate only carries the key."""
SERIAL_OCTETS = 16


def new_frame_key(kind: str) -> FrameKey:
    """Make a key of one of ``hsm_agent.wire.frame_kinds.FRAME_KINDS``."""
    return Ed25519PrivateKey.generate() if kind == ED25519 else _ML_DSA[kind].generate()


def new_tls_key(kind: str) -> TlsKey:
    """Make a key of one of ``hsm_agent.wire.channel_kinds.TLS_KINDS``."""
    if kind == CLASSICAL_TLS:
        return ec.generate_private_key(ec.SECP256R1())
    return _ML_DSA[kind].generate()


def tls_kind(certificate: bytes) -> str:
    """Return the kind of the key in a certificate (DER) of ours; empty for any other."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return CLASSICAL_TLS
    return next((kind for kind, public in _PUBLIC.items() if isinstance(key, public)), "")


def written(key: FrameKey) -> bytes:
    """Return the public half of a frame key as it is told; see `hsm_agent.wire.frame_kinds`."""
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_written(public: bytes) -> Ed25519PublicKey | MlDsaPublicKey:
    """Load what `written` returns.

    Raises:
        ValueError: it is no key.
    """
    if len(public) == FRAME_KINDS[ED25519].written_octets:
        return Ed25519PublicKey.from_public_bytes(public)
    key = load_der_public_key(public)
    if not isinstance(key, MlDsaPublicKey):
        raise ValueError("no ML-DSA key")  # noqa: TRY004 - whatever is wrong is the octets' fault
    return key


def private_pem(key: FrameKey | TlsKey) -> bytes:
    """Return a private key as the TLS library and we read it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(key: TlsKey, name: str, now: datetime, serial: int) -> x509.Certificate:
    """Return the certificate that carries a TLS key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = key.public_key()
    usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder(subject, subject, public, serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None)
    )


def new_serial(entropy: Callable[[int], bytes]) -> int:
    """Return the serial number of a certificate that nobody looks at."""
    return int.from_bytes(b"\1" + entropy(SERIAL_OCTETS))


def check_kinds(kinds: ChannelKinds) -> None:
    """Agree that this host can use keys of these kinds for its lines.

    Raises:
        SettingsFault: it cannot.
    """
    if kinds.tls not in TLS_KINDS or kinds.frames not in FRAME_KINDS:
        raise SettingsFault(f"{kinds.tls} for TLS and {kinds.frames} for frames: no such kinds")
    if kinds.tls not in abilities_here().tls:
        raise SettingsFault(explain_missing(kinds.tls))


def abilities_here() -> Abilities:
    """Return which keys of the other side can be verified on this host."""
    return abilities(tls_library_here().kinds)


@cache
def tls_library_here() -> TlsLibrary:
    """Return what this host's TLS library has; it is tried once."""
    key = _ML_DSA["ml-dsa-65"].generate()
    certificate = self_signed(key, "probe", clock.now(), new_serial(clock.entropy))
    return tls_library(private_pem(key) + certificate.public_bytes(Encoding.PEM))
