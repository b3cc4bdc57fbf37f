"""The store for trials: keys in files, no better protected than the files are."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from hsm_agent.faults import AgentFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.stores.key_types import (
    CURVES,
    HASHES,
    KEY_TYPES,
    PKCS1,
    RSA_BITS,
    algorithms_of,
    key_type_of,
    pss_padding,
    spki_of,
)
from hsm_agent.stores.ml_dsa_forms import from_both_forms
from hsm_agent.stores.store import (
    KeyExists,
    NewKey,
    Outcome,
    StoredKey,
    StoreError,
    StoreState,
    TokenFault,
    UnknownKey,
    Unsupported,
)

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
NOTICE = "trial: the key is a file"
_README = b"""These keys are for trials.  Whoever reads a file here has the key: it can be copied,
and nobody notices.  Keys that matter belong into a token; see docs/how-to/run-the-hsm-agent.md.
"""
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MESSAGE_KEYS: Mapping[str, Callable[[], PrivateKey]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}
_PRIVATE = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class SoftwareStore:
    """A folder with one file for each key: PKCS#8 in PEM, mode 0600, named ``LABEL.pem``."""

    kind = "software"
    trial = True
    at_once = 8

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[int, PrivateKey]] = {}

    def state(self) -> StoreState:
        """See ``hsm_agent.stores.store.Store``."""
        details = {"protection": NOTICE, "folder": str(self._folder)}
        return StoreState("ready", KEY_TYPES, details=details)

    def keys(self) -> Sequence[StoredKey]:
        """See ``hsm_agent.stores.store.Store``."""
        labels = sorted(file.stem for file in self._folder.glob("*.pem"))
        return [_stored(label, self._key(label)) for label in labels if _LABEL.fullmatch(label)]

    def sign(self, label: str, algorithm: str, data: bytes) -> bytes:
        """See ``hsm_agent.stores.store.Store``."""
        key = self._key(label)
        if algorithm not in algorithms_of(key_type_of(key.public_key())):
            raise Unsupported(f"key {label!r} does not sign with {algorithm}")
        family, _, hash_name = algorithm.rpartition("-")
        if isinstance(key, rsa.RSAPrivateKey):
            hashed = HASHES[hash_name]()
            return key.sign(data, PKCS1 if family == "rsa" else pss_padding(hashed), hashed)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(HASHES[hash_name]()))
        return key.sign(data)

    def sign_many(
        self, label: str, algorithm: str, data: Sequence[bytes]
    ) -> Iterator[Sequence[Outcome]]:
        """See ``hsm_agent.stores.store.SignsMany``; all together take less than a token for one."""
        yield [self._outcome(place, label, algorithm, one) for place, one in enumerate(data)]

    def _outcome(self, place: int, label: str, algorithm: str, data: bytes) -> Outcome:
        try:
            return Outcome(place, self.sign(label, algorithm, data))
        except StoreError as fault:
            return Outcome(place, b"", fault)

    def generate(self, wanted: NewKey) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        _refuse_policies(wanted)
        if wanted.key_type not in KEY_TYPES:
            raise Unsupported(f"{wanted.key_type} is not one of {', '.join(KEY_TYPES)}")
        return self._add(wanted.label, _new_key(wanted.key_type))

    def import_key(self, wanted: NewKey, pkcs8: bytes) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        _refuse_policies(wanted)
        key = _read_pkcs8(pkcs8)
        found = key_type_of(key.public_key())
        if wanted.key_type not in {"", found}:
            raise Unsupported(f"the key is of type {found}, not {wanted.key_type}")
        return self._add(wanted.label, key)

    def put_certificate(self, label: str, certificate: bytes) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        if not self._file(label).exists():
            raise UnknownKey(f"no key {label!r} in {self._folder}")
        self._write(self._file(label).with_suffix(".der"), certificate)

    def close(self) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        with self._lock:
            self._loaded.clear()

    def _add(self, label: str, key: PrivateKey) -> StoredKey:
        with self._lock:
            file = self._file(label)
            if file.exists():
                raise KeyExists(f"{file} is there already")
            make_private_folder(self._folder)
            self._write(self._folder / "README", _README)
            self._write(file, key.private_bytes(*_PRIVATE))
        return _stored(label, key)

    def _key(self, label: str) -> PrivateKey:
        """Load a key, or take the one that was loaded from this very file before."""
        file = self._file(label)
        try:
            version = file.stat().st_mtime_ns
        except OSError:
            raise UnknownKey(f"no key {label!r} in {self._folder}") from None
        with self._lock:
            known = self._loaded.get(label)
            if known is not None and known[0] == version:
                return known[1]
        key = _load(file)
        with self._lock:
            self._loaded[label] = (version, key)
        return key

    def _file(self, label: str) -> Path:
        if not _LABEL.fullmatch(label):
            raise Unsupported(f"{label!r} is no label: letters, digits, . _ - and at most 64")
        return self._folder / f"{label}.pem"

    def _write(self, file: Path, octets: bytes) -> None:
        try:
            write_private(file, octets)
        except OSError as error:
            raise TokenFault(f"{file} cannot be written: {error.strerror}") from error


def _read_pkcs8(pkcs8: bytes) -> PrivateKey:
    key: object = from_both_forms(pkcs8)
    if key is None:
        try:
            key = load_der_private_key(pkcs8, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Unsupported("the key cannot be read as PKCS#8") from error
    if not isinstance(key, PrivateKey):
        raise Unsupported(f"the key is of another type than {', '.join(KEY_TYPES)}")
    return key


def _load(file: Path) -> PrivateKey:
    try:
        key = load_pem_private_key(read_private(file), None)
    except AgentFault as error:
        raise TokenFault(str(error)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise TokenFault(f"{file} holds no key that can be read: {error}") from error
    if not isinstance(key, PrivateKey):
        raise TokenFault(f"{file} holds a key that does not sign")
    return key


def _stored(label: str, key: PrivateKey) -> StoredKey:
    public = key.public_key()
    key_type = key_type_of(public)
    details = {"protection": NOTICE}
    return StoredKey(label, key_type, spki_of(public), algorithms_of(key_type), details=details)


def _new_key(key_type: str) -> PrivateKey:
    if key_type in RSA_BITS:
        return rsa.generate_private_key(65537, RSA_BITS[key_type])
    if key_type in CURVES:
        return ec.generate_private_key(CURVES[key_type]())
    return _MESSAGE_KEYS[key_type]()


def _refuse_policies(wanted: NewKey) -> None:
    """Refuse what somebody relies on and a file cannot keep."""
    if wanted.pin_policy or wanted.touch_policy:
        raise Unsupported("a software key has neither PIN nor touch policy")
