"""The software backend: keys stored sealed, opened once, and kept for signing."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.api.errors import KeyUnavailable, NotAllowed, RequestRejected
from pikaserver.api.operations import Clock, Entropy
from pikaserver.api.signing import Decrypter, KeyDescription, KeyReference, SealedKey, Signer
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS, key_type
from pikaserver.asn1.composite import COMPOSITES, DRAFT
from pikaserver.signing import private_keys
from pikaserver.signing.composite_keys import (
    CompositeKey,
    new_composite_key,
    read_composite_key,
)
from pikaserver.signing.sealing import KEY_OCTETS, KeyEncryptionKey, decrypt, encrypt
from pikaserver.signing.software_signers import make_decrypter, make_signer

SCHEME = "software"

_Key = PrivateKeyTypes | CompositeKey
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_PUBLIC_EXPONENT = 65_537

_GENERATORS: Mapping[str, Callable[[], PrivateKeyTypes]] = MappingProxyType(
    {
        "rsa-2048": partial(rsa.generate_private_key, _PUBLIC_EXPONENT, 2048),
        "rsa-3072": partial(rsa.generate_private_key, _PUBLIC_EXPONENT, 3072),
        "rsa-4096": partial(rsa.generate_private_key, _PUBLIC_EXPONENT, 4096),
        "ec-p256": partial(ec.generate_private_key, ec.SECP256R1()),
        "ec-p384": partial(ec.generate_private_key, ec.SECP384R1()),
        "ec-p521": partial(ec.generate_private_key, ec.SECP521R1()),
        "ec-secp256k1": partial(ec.generate_private_key, ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ed448": ed448.Ed448PrivateKey.generate,
        "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
        "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
        "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
    }
)

SOFTWARE_KEY_TYPES = tuple(_GENERATORS)
"""The types of key that live here."""


def new_private_key(key_type: str) -> bytes:
    """Return a fresh private key as PKCS#8 DER.

    Raises:
        RequestRejected: no key of this type is made here.
    """
    if key_type in COMPOSITES:
        return new_composite_key(key_type).pkcs8
    generator = _GENERATORS.get(key_type)
    if generator is None:
        elsewhere = "; keep it as openssl:NAME" if key_type in KEY_TYPES else ""
        raise RequestRejected(
            f"software keys are {', '.join(_GENERATORS)}, not {key_type}{elsewhere}"
        )
    return generator().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


class KeyStore(Protocol):
    """Durable storage of sealed keys by name."""

    def all(self) -> Sequence[SealedKey]:
        """Return all keys, in the order of their names."""
        ...

    def get(self, name: str) -> SealedKey:
        """Return one key.

        Raises:
            NotFound: there is none of this name.
        """
        ...

    def add(self, key: SealedKey) -> None:
        """Store a key; it is durable when this returns.

        Raises:
            Conflict: there is one of this name.
        """
        ...

    def remove(self, name: str) -> None:
        """Destroy a key.

        Raises:
            NotFound: there is none of this name.
        """
        ...


class SoftwareBackend:
    """Keys ``software:<name>``: `SignerBackend`, and import, export and removal of keys."""

    def __init__(
        self,
        store: KeyStore,
        kek: KeyEncryptionKey,
        clock: Clock,
        entropy: Entropy,
        drafts: Collection[str] = (),
    ) -> None:
        self._store = store
        self._drafts = frozenset(drafts)
        self._kek = kek
        self._clock = clock
        self._entropy = entropy
        self._opened: dict[str, tuple[_Key, SealedKey]] = {}
        self._signers: dict[tuple[str, str], Signer] = {}
        self._lock = Lock()

    @property
    def scheme(self) -> str:
        """See `SignerBackend`."""
        return SCHEME

    def keys(self) -> Iterator[KeyDescription]:
        """See `SignerBackend`."""
        for key in self._store.all():
            reference = KeyReference(SCHEME, key.name)
            yield KeyDescription(reference, key.key_type, key.public_key, key.exportable)

    def generate(self, reference: KeyReference, key_type: str, *, exportable: bool) -> bytes:
        """See `SignerBackend`."""
        return self._seal(reference, new_private_key(key_type), exportable=exportable)

    def import_key(self, reference: KeyReference, pkcs8: bytes, *, exportable: bool) -> bytes:
        """See `KeyImporter`.

        Raises:
            Conflict: there is a key of that name.
            MalformedRequest: it is not a private key.
            RequestRejected: it is of a kind that software keys do not have.
        """
        found = private_keys.read_private_key(pkcs8)
        _opened(found)  # a post-quantum key may be readable, and none of ours
        return self._seal(reference, found, exportable=exportable)

    def export_key(self, reference: KeyReference) -> bytes:
        """See `KeyExporter`."""
        key = self._store.get(reference.name)
        if not key.exportable:
            raise NotAllowed(f"the key {reference} was not made exportable")
        return self._unseal(key)

    def remove_key(self, reference: KeyReference) -> None:
        """See `KeyRemover`."""
        self.forget(reference)
        self._store.remove(reference.name)
        self.forget(reference)

    def open(self, reference: KeyReference, algorithm: str) -> Signer:
        """See `SignerBackend`; a key is unsealed once and kept until it is forgotten."""
        signer = self._signers.get((reference.name, algorithm))
        if signer is not None:
            return signer
        with self._lock:
            key, row = self._open_key(reference)
            entry = SIGNATURE_ALGORITHMS.get(algorithm)
            if entry is None or entry.family not in _families(row.key_type):
                raise RequestRejected(f"the {row.key_type} key {reference} cannot do {algorithm}")
            signer = make_signer(key, entry, row.public_key)
            self._signers[reference.name, algorithm] = signer
            return signer

    def open_decrypter(self, reference: KeyReference) -> Decrypter:
        """See `DecrypterBackend`."""
        with self._lock:
            key, row = self._open_key(reference)
        return make_decrypter(key, row.public_key)

    def forget(self, reference: KeyReference) -> None:
        """Drop an opened key, so that the next `open` reads what is stored by then."""
        with self._lock:
            self._opened.pop(reference.name, None)
            for name, algorithm in list(self._signers):
                if name == reference.name:
                    del self._signers[name, algorithm]

    def _open_key(self, reference: KeyReference) -> tuple[_Key, SealedKey]:
        opened = self._opened.get(reference.name)
        if opened is None:
            row = self._store.get(reference.name)
            opened = _opened(self._unseal(row)), row
            self._opened[reference.name] = opened
        return opened

    def _seal(self, reference: KeyReference, pkcs8: bytes, *, exportable: bool) -> bytes:
        if not _NAME.fullmatch(reference.name):
            raise RequestRejected(
                f"{reference.name!r} is not a key's name: letters, digits, dot, dash, underscore"
            )
        self._check_secret()
        public_key = private_keys.public_key(pkcs8)
        kind = key_type(public_key)
        self._check_kind(kind)
        associated = _associated(reference.name, _VERSION, public_key)
        data_key = self._entropy(KEY_OCTETS)
        self._store.add(
            SealedKey(
                name=reference.name,
                key_type=kind,
                public_key=public_key,
                sealed_key=encrypt(data_key, pkcs8, associated, self._entropy),
                sealed_data_key=self._kek.seal(data_key, associated),
                version=_VERSION,
                exportable=exportable,
                created_at=self._clock(),
            )
        )
        return public_key

    def _check_kind(self, kind: str) -> None:
        if kind in COMPOSITES:
            if DRAFT not in self._drafts:
                why = f"a draft: keys.allow-draft-algorithms has to name {DRAFT!r}"
                raise RequestRejected(f"{kind} keys are those of {why}")
        elif kind not in KEY_TYPES:
            raise RequestRejected(f"a {kind} key does not sign: it is not kept here")

    def _check_secret(self) -> None:
        """Open a stored key first, so that all are always sealed by one secret."""
        for key in self._store.all()[:1]:
            self._unseal(key)

    def _unseal(self, row: SealedKey) -> bytes:
        associated = _associated(row.name, row.version, row.public_key)
        data_key = self._kek.open(row.sealed_data_key, associated)
        try:
            return decrypt(data_key, row.sealed_key, associated)
        except InvalidTag:
            raise KeyUnavailable(f"the stored key {row.name} was altered") from None


def _opened(pkcs8: bytes) -> _Key:
    return read_composite_key(pkcs8) or private_keys.load(pkcs8)


def _families(key_type: str) -> tuple[str, ...]:
    return (key_type,) if key_type in COMPOSITES else KEY_TYPES[key_type].families


def _associated(name: str, version: int, public_key: bytes) -> bytes:
    """Bind what is sealed to its row: it opens nowhere else."""
    return der.sequence(
        der.octet_string(name.encode("utf-8")),
        der.integer(version),
        der.octet_string(hashlib.sha256(public_key).digest()),
    )
