"""Private keys from files and into files: PEM, DER, PKCS#8, traditional forms, PKCS#12."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.chains import CERTIFICATE_LABELS, read_certificates
from pikaserver.asn1.elements import INTEGER, OCTET_STRING, SEQUENCE, children
from pikaserver.signing import pbes2
from pikaserver.signing.ml_dsa import seed_form

LIMIT_OCTETS = 1 << 20
"""The largest file of keys and certificates that we read."""

_TRADITIONAL = ("RSA PRIVATE KEY", "EC PRIVATE KEY")
_PKCS8 = "PRIVATE KEY"
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
# RFC 1421 section 4.6.1.3: the cipher and its initialisation vector in hex.
_VECTOR = re.compile(rb"DEK-Info:\s*([^\s,]*)\s*,\s*([0-9A-Fa-f]*)")
_PKCS12_VERSION = b"\x03"
# PKCS#12 may be BER; Java and Windows write it so.
_INDEFINITE = b"\x30\x80"


class KeyFileClosed(MalformedRequest):
    """A file cannot be opened with this passphrase, or not without one."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a file held: one private key (PKCS#8 DER) and certificates (DER) in its order."""

    pkcs8: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = ()


def read_private_key(octets: bytes, passphrase: bytes | None = None) -> bytes:
    """Return the one private key of a file as PKCS#8 DER; see `read_key_file`."""
    return read_key_file(octets, passphrase).pkcs8


def read_key_file(octets: bytes, passphrase: bytes | None = None) -> KeyFile:
    """Read a private key, and certificates that lie beside it.

    Raises:
        KeyFileClosed: the passphrase does not open it, or is needed.
        MalformedRequest: it is no such file.
        RequestRejected: the key is of a kind that software keys do not have.
    """
    if len(octets) > LIMIT_OCTETS:
        raise MalformedRequest(f"more than {LIMIT_OCTETS} octets")
    if der.is_pem(octets):
        return _read_pem(octets, passphrase)
    return _read_der(octets, passphrase)


def public_key(pkcs8: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a private key (PKCS#8 DER).

    Raises:
        MalformedRequest: it cannot be read.
        RequestRejected: the key is of a kind that software keys do not have.
    """
    return _spki(load(pkcs8))


def load(pkcs8: bytes) -> PrivateKeyTypes:
    """Return cryptography's object for a private key (PKCS#8 DER) of one of our types.

    Raises:
        MalformedRequest: it cannot be read.
        RequestRejected: the key is of a kind that software keys do not have.
    """
    try:
        return _known(load_der_private_key(pkcs8, None))
    except (ValueError, TypeError):
        raise MalformedRequest("the private key cannot be read") from None
    except UnsupportedAlgorithm:
        raise RequestRejected("the private key is of a kind that is not known here") from None


def write_private_key(pkcs8: bytes, passphrase: bytes | None = None) -> bytes:
    """Return PKCS#8 in PEM, encrypted when there is a passphrase.

    Raises:
        MalformedRequest: see `load`.
        RequestRejected: see `load`, or the passphrase is empty.
    """
    key = load(pkcs8)
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if not passphrase:
        raise RequestRejected("the passphrase is empty")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))


def write_pkcs12(
    pkcs8: bytes, certificate: bytes, chain: Sequence[bytes], passphrase: bytes, name: str
) -> bytes:
    """Return a PKCS#12 file (RFC 7292) with key, certificate and chain.

    Raises:
        RequestRejected: the key is ML-DSA, which PKCS#12 readers do not open; it is not the
            certificate's; or the passphrase is empty.
    """
    key = load(pkcs8)
    if not isinstance(
        key,
        rsa.RSAPrivateKey
        | ec.EllipticCurvePrivateKey
        | ed25519.Ed25519PrivateKey
        | ed448.Ed448PrivateKey,
    ):
        raise RequestRejected(
            "PKCS#12 has no place for ML-DSA keys yet: export key and chain as PEM"
        )
    if not passphrase:
        raise RequestRejected("a PKCS#12 file needs a passphrase")
    own = read_certificate(certificate)
    if _spki(key) != public_key_of(own):
        raise RequestRejected("the private key is not the certificate's")
    return pkcs12.serialize_key_and_certificates(
        name.encode("utf-8"),
        key,
        own,
        [read_certificate(issuer) for issuer in chain],
        BestAvailableEncryption(passphrase),
    )


def _read_pem(text: bytes, passphrase: bytes | None) -> KeyFile:
    blocks = list(der.pem_blocks(text))
    keys = [(label, body) for label, body in blocks if label.endswith(_PKCS8)]
    if len(keys) != 1:
        raise MalformedRequest(f"expected one private key, found {len(keys)}")
    label, body = keys[0]
    if b":" in body:
        pkcs8 = _read_traditional(label, body, passphrase)
    elif label in (_PKCS8, _ENCRYPTED, *_TRADITIONAL):
        pkcs8 = _read_der(der.read_pem(text, label)[0], passphrase).pkcs8
    else:
        raise RequestRejected(f"{label} is not taken; write the key as PKCS#8")
    beside = any(label in CERTIFICATE_LABELS for label, _ in blocks)
    return KeyFile(pkcs8, tuple(read_certificates(text)) if beside else ())


def _read_traditional(label: str, body: bytes, passphrase: bytes | None) -> bytes:
    """Open the old encryption of PEM, which stands in headers of the block."""
    vector = _VECTOR.search(body)
    if vector is not None and len(vector[2]) < (32 if vector[1].startswith(b"AES") else 16):
        # cryptography ends in a panic over it, which is no Exception.
        raise _closed()
    name = label.encode("ascii")
    block = b"-----BEGIN " + name + b"-----" + body + b"-----END " + name + b"-----\n"
    try:
        return _pkcs8(load_pem_private_key(block, _needed(passphrase)))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _closed() from None


def _read_der(octets: bytes, passphrase: bytes | None) -> KeyFile:
    if octets[:2] == _INDEFINITE:
        return _read_pkcs12(octets, passphrase)
    der.check(octets, limit_octets=LIMIT_OCTETS)
    tags = [part.tag for part in children(octets)][:2]
    if tags == [SEQUENCE, OCTET_STRING]:
        return KeyFile(_decrypted(octets, _needed(passphrase)))
    if tags == [INTEGER, SEQUENCE]:
        version = next(children(octets))
        is_pkcs12 = octets[version.start : version.end] == _PKCS12_VERSION
        return _read_pkcs12(octets, passphrase) if is_pkcs12 else KeyFile(_normal(octets))
    return KeyFile(_pkcs8(load(octets)))


def _decrypted(encrypted: bytes, passphrase: bytes) -> bytes:
    pkcs8 = pbes2.decrypt(encrypted, passphrase)
    if pkcs8 is not None:
        return _normal(pkcs8)
    try:
        return _pkcs8(load_der_private_key(encrypted, passphrase))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _closed() from None


def _read_pkcs12(octets: bytes, passphrase: bytes | None) -> KeyFile:
    try:
        with warnings.catch_warnings():
            # That a file is BER, as Java and Windows write it, is no news for the operator.
            warnings.simplefilter("ignore", UserWarning)
            found = pkcs12.load_pkcs12(octets, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _closed() from None
    if found.key is None:
        raise MalformedRequest("the PKCS#12 file holds no private key")
    certificates = [found.cert, *found.additional_certs]
    return KeyFile(
        _pkcs8(found.key),
        tuple(c.certificate.public_bytes(Encoding.DER) for c in certificates if c is not None),
    )


def _normal(pkcs8: bytes) -> bytes:
    der.check(pkcs8, limit_octets=LIMIT_OCTETS)
    return _pkcs8(load(seed_form(pkcs8) or pkcs8))


def _known(key: PrivateKeyTypes) -> PrivateKeyTypes:
    kind = key_type(_spki(key))
    if kind not in KEY_TYPES:
        raise RequestRejected(f"keys of type {kind} are not taken: {', '.join(KEY_TYPES)} are")
    return key


def _pkcs8(key: PrivateKeyTypes) -> bytes:
    return _known(key).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _spki(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _needed(passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise KeyFileClosed("the private key is encrypted: its passphrase is needed")
    return passphrase


def _closed() -> KeyFileClosed:
    return KeyFileClosed("the passphrase does not open the file, or the file is damaged")
