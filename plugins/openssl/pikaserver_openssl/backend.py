"""The signer backend of scheme ``openssl``: keys kept sealed, which an OpenSSL signs with."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from cryptography.hazmat.primitives.asymmetric import mldsa

from pikaserver.api.errors import (
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    RequestRejected,
    SignatureFaulty,
)
from pikaserver.api.operations import Secrets
from pikaserver.api.server import Server
from pikaserver.api.signing import KeyDescription, KeyReference, Signer
from pikaserver.asn1.algorithms import (
    KEY_TYPES,
    SIGNATURE_ALGORITHMS,
    key_type,
    public_key,
    verify,
)
from pikaserver_openssl import keys, storage
from pikaserver_openssl.engine import KINDS, EngineFault, OpenedKey, Way, way_of
from pikaserver_openssl.engine_room import EngineRoom
from pikaserver_openssl.storage import NAME_LENGTH, KeyRow

SCHEME = "openssl"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}", re.ASCII)
_PROBE_OCTETS = 32
_MlDsaKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@dataclass(frozen=True, slots=True)
class OpensslSigner:
    """Implements ``Signer``."""

    algorithm: str
    public_key: bytes
    key: OpenedKey = field(repr=False)
    way: Way

    def sign(self, tbs: bytes) -> bytes:
        """See ``pikaserver.api.signing.Signer``."""
        try:
            return self.key.sign(tbs, self.way)
        except EngineFault as fault:
            raise KeyUnavailable(str(fault)) from fault


@dataclass(frozen=True, slots=True)
class OpensslMuSigner(OpensslSigner):
    """Implements ``MuSigner``, for large CRLs."""

    def sign_mu(self, mu: bytes) -> bytes:
        """See ``pikaserver.api.signing.MuSigner``."""
        try:
            return self.key.sign_mu(mu)
        except EngineFault as fault:
            raise KeyUnavailable(str(fault)) from fault


class OpensslBackend:
    """Implements ``SignerBackend``, and import, export and removal of keys."""

    def __init__(self, server: Server, room: EngineRoom) -> None:
        self._server = server
        self._room = room
        self._secrets: Secrets | None = None
        self._opened: dict[str, OpenedKey] = {}
        self._signers: dict[tuple[str, str], Signer] = {}
        self._lock = Lock()

    def seal_with(self, secrets: Secrets) -> None:
        """See ``pikaserver.api.signing.KeySealer``."""
        self._secrets = secrets

    @property
    def scheme(self) -> str:
        """See ``pikaserver.api.signing.SignerBackend``."""
        return SCHEME

    def keys(self) -> Iterator[KeyDescription]:
        """See ``pikaserver.api.signing.SignerBackend``."""
        with self._server.database.reading() as connection:
            rows = storage.list_keys(connection)
        for row in rows:
            reference = KeyReference(SCHEME, row.name)
            yield KeyDescription(reference, row.key_type, row.public_key, row.exportable)

    def generate(self, reference: KeyReference, key_type: str, *, exportable: bool) -> bytes:
        """See ``pikaserver.api.signing.SignerBackend``."""
        if key_type not in KINDS:
            raise RequestRejected(f"{key_type} is not one of {', '.join(KINDS)}")
        try:
            engine = self._room.engine()
            keys.check_offered(engine, key_type)
            pkcs8 = engine.generate(key_type)
        except EngineFault as fault:
            raise RequestRejected(str(fault)) from fault
        return self._take(reference, pkcs8, exportable=exportable)

    def import_key(self, reference: KeyReference, pkcs8: bytes, *, exportable: bool) -> bytes:
        """See ``pikaserver.api.signing.KeyImporter``.

        Raises:
            Conflict: there is a key of that name.
            MalformedRequest: its parts contradict each other, or it signs nothing that verifies.
            RequestRejected: OpenSSL cannot use it.
        """
        return self._take(reference, pkcs8, exportable=exportable)

    def export_key(self, reference: KeyReference) -> bytes:
        """See ``pikaserver.api.signing.KeyExporter``."""
        row = self._row(reference)
        if not row.exportable:
            raise NotAllowed(f"the key {reference} was not made exportable")
        return self._unsealed(row)

    def remove_key(self, reference: KeyReference) -> None:
        """See ``pikaserver.api.signing.KeyRemover``."""
        with self._server.database.transaction() as connection:
            storage.remove_key(connection, reference.name)
        with self._lock:
            self._opened.pop(reference.name, None)
            for name, algorithm in list(self._signers):
                if name == reference.name:
                    del self._signers[name, algorithm]

    def open(self, reference: KeyReference, algorithm: str) -> Signer:
        """See ``pikaserver.api.signing.SignerBackend``; a key is unsealed and tried once."""
        signer = self._signers.get((reference.name, algorithm))
        if signer is not None:
            return signer
        with self._lock:
            row = self._row(reference)
            entry = SIGNATURE_ALGORITHMS.get(algorithm)
            if entry is None or entry.family not in KEY_TYPES[row.key_type].families:
                raise RequestRejected(f"the {row.key_type} key {reference} cannot do {algorithm}")
            key = self._opened.get(row.name) or self._open(row)
            self._opened[row.name] = key
            way = way_of(entry.family, entry.hash)
            kind = OpensslMuSigner if self._signs_mu(algorithm, key) else OpensslSigner
            signer = kind(algorithm, row.public_key, key, way)
            self._signers[row.name, algorithm] = signer
            return signer

    def _open(self, row: KeyRow) -> OpenedKey:
        reference = f"{SCHEME}:{row.name}"
        pkcs8 = self._unsealed(row)
        try:
            key = keys.opened(self._room.engine(), pkcs8, self._probe())
        except (EngineFault, SignatureFaulty) as fault:
            raise KeyUnavailable(f"the key {reference} cannot be used: {fault}") from fault
        if key.public_key != row.public_key:
            raise KeyUnavailable(f"the key {reference} is not the one that it was")
        return key

    def _signs_mu(self, algorithm: str, key: OpenedKey) -> bool:
        """Tell whether a signature over mu verifies over the message: else mu was not taken."""
        loaded = public_key(key.public_key) if key.takes_mu else None
        if not isinstance(loaded, _MlDsaKey):
            return False
        probe = self._probe()
        hasher = mldsa.MLDSAMuHasher(loaded)
        hasher.update(probe)
        try:
            verify(key.public_key, algorithm, key.sign_mu(hasher.finalize()), probe)
        except (EngineFault, SignatureFaulty):
            return False
        return True

    def _take(self, reference: KeyReference, pkcs8: bytes, *, exportable: bool) -> bytes:
        """Try a key, and keep it sealed."""
        if not _NAME.fullmatch(reference.name):
            raise RequestRejected(
                f"{reference.name!r} is not a key's name: letters, digits, dot, dash, underscore"
            )
        small = keys.kept(pkcs8)
        try:
            key = keys.opened(self._room.engine(), small, self._probe())
        except EngineFault as fault:
            raise RequestRejected(f"OpenSSL cannot use this key: {fault}") from fault
        except SignatureFaulty as fault:
            raise MalformedRequest(f"the private key is damaged: {fault}") from fault
        self._check_secret()
        row = KeyRow(
            name=reference.name,
            key_type=key_type(key.public_key),
            public_key=key.public_key,
            sealed_key=self._sealing.seal(_purpose(reference.name, key.public_key), small),
            exportable=exportable,
            created_at=int(self._server.clock().timestamp()),
        )
        with self._server.database.transaction() as connection:
            storage.add_key(connection, row)
        return row.public_key

    def _row(self, reference: KeyReference) -> KeyRow:
        with self._server.database.reading() as connection:
            return storage.get_key(connection, reference.name)

    def _unsealed(self, row: KeyRow) -> bytes:
        return self._sealing.open(_purpose(row.name, row.public_key), row.sealed_key)

    @property
    def _sealing(self) -> Secrets:
        if self._secrets is None:
            raise KeyUnavailable("keys of openssl: cannot be opened before the server is there")
        return self._secrets

    def _check_secret(self) -> None:
        """Open a stored key first, so that all are always sealed by one secret."""
        with self._server.database.reading() as connection:
            rows = storage.list_keys(connection)
        for row in rows[:1]:
            self._unsealed(row)

    def _probe(self) -> bytes:
        return self._server.entropy(_PROBE_OCTETS)


def _purpose(name: str, spki: bytes) -> str:
    """Bind what is sealed to its row: it opens nowhere else."""
    return f"openssl-key {name} {hashlib.sha256(spki).hexdigest()}"
