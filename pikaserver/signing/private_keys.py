"""Private keys from files and into files: PEM, DER, PKCS#8, traditional forms, PKCS#12."""

import re
import warnings
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
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
from pikaserver.api.operations import Entropy
from pikaserver.asn1 import der, private_key_forms
from pikaserver.asn1.algorithms import KEY_TYPES, key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.chains import CERTIFICATE_LABELS, read_certificates
from pikaserver.asn1.elements import INTEGER, OCTET_STRING, SEQUENCE, children
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.pem import write_pem
from pikaserver.signing import pbes2
from pikaserver.signing import pkcs12 as own_pkcs12
from pikaserver.signing.composite_keys import read_composite_key

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

    Post-quantum keys without a seed are read, too, though software keys have one: see `load`.

    Raises:
        KeyFileClosed: the passphrase does not open it, or is needed.
        MalformedRequest: it is no such file, or the parts of the key contradict each other.
        RequestRejected: the key is of a kind that is not known here.
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
        RequestRejected: the key is of a kind that is not known here.
    """
    composite = read_composite_key(pkcs8)
    if composite is not None:
        return composite.public_key
    found = private_key_forms.read(pkcs8)
    return _spki(_load(pkcs8)) if found is None else found.public_key()


def load(pkcs8: bytes) -> PrivateKeyTypes:
    """Return cryptography's object for a private key (PKCS#8 DER) of one of our types.

    Raises:
        MalformedRequest: it cannot be read.
        RequestRejected: the key is of a kind that software keys do not have.
    """
    found = private_key_forms.read(pkcs8)
    if found is not None:
        if found.seed is None:
            raise RequestRejected(_without_seed(found))
        pkcs8 = private_key_forms.write(found, "seed")
    return _load(pkcs8)


def _load(octets: bytes) -> PrivateKeyTypes:
    """Load PKCS#8 or a traditional form (DER)."""
    try:
        return _known(load_der_private_key(octets, None))
    except (ValueError, TypeError):
        raise MalformedRequest("the private key cannot be read") from None
    except UnsupportedAlgorithm:
        raise RequestRejected("the private key is of a kind that is not known here") from None


def write_private_key(
    pkcs8: bytes, passphrase: bytes | None, entropy: Entropy, form: str | None = None
) -> bytes:
    """Return PKCS#8 in PEM, encrypted when there is a passphrase.

    Args:
        pkcs8: DER.
        passphrase: ``None`` for none.
        entropy: for salt and initialisation vector.
        form: of an ML-DSA key; unset, the one that it has.

    Raises:
        MalformedRequest: see `load`.
        RequestRejected: see `load`; the passphrase is empty; or the key has no such form.
    """
    if passphrase is not None and not passphrase:
        raise RequestRejected("the passphrase is empty")
    found = private_key_forms.read(pkcs8)
    if form is not None and (found is None or found.form == "raw"):
        raise RequestRejected("only ML-DSA keys have a choice of forms")
    composite = read_composite_key(pkcs8)
    if found is not None or composite is not None:
        octets = _post_quantum(found, form) if found is not None else pkcs8
        if passphrase is None:
            return write_pem(_PKCS8, octets)
        return write_pem(_ENCRYPTED, pbes2.encrypt(octets, passphrase, entropy))
    key = _load(pkcs8)
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))


def _post_quantum(found: private_key_forms.PrivateKey, form: str | None) -> bytes:
    usual = "seed" if found.seed is not None else "expanded"
    return private_key_forms.write(found, form or usual)


def _without_seed(found: private_key_forms.PrivateKey) -> str:
    if found.form == "raw":
        return f"software keys are not {found.key_type}: keep it as openssl:NAME"
    return (
        f"this {found.key_type} key has no seed; a software key needs one (RFC 9881 section 6),"
        " openssl:NAME does not"
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
    return KeyFile(_pkcs8(_load(octets)))


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
        return _read_own_pkcs12(octets, _needed(passphrase))
    if found.key is None:
        raise MalformedRequest("the PKCS#12 file holds no private key")
    certificates = [found.cert, *found.additional_certs]
    return KeyFile(
        _pkcs8(found.key),
        tuple(c.certificate.public_bytes(Encoding.DER) for c in certificates if c is not None),
    )


def _read_own_pkcs12(octets: bytes, passphrase: bytes) -> KeyFile:
    """Read what cryptography does not: a key of a kind that it puts into no such file."""
    try:
        found = own_pkcs12.read(octets, passphrase)
    except MalformedRequest:
        raise _closed() from None
    if len(found.keys) != 1:
        raise MalformedRequest(f"expected one private key, found {len(found.keys)}")
    pkcs8 = _normal(found.keys[0])
    spki = public_key(pkcs8)

    def is_another(certificate: bytes) -> bool:
        return public_key_of(read_certificate(certificate)) != spki

    # The key's own comes first, whatever the order in the file.
    return KeyFile(pkcs8, tuple(sorted(found.certificates, key=is_another)))


def _normal(pkcs8: bytes) -> bytes:
    der.check(pkcs8, limit_octets=LIMIT_OCTETS)
    composite = read_composite_key(pkcs8)
    if composite is not None:
        return composite.pkcs8
    found = private_key_forms.read(pkcs8)
    if found is None:
        return _pkcs8(_load(pkcs8))
    return _post_quantum(found, None)


def _known(key: PrivateKeyTypes) -> PrivateKeyTypes:
    kind = key_type(_spki(key))
    if kind not in KEY_TYPES and kind not in KEM_KEY_TYPES:
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
