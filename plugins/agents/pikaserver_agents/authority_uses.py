"""Which authorities use which keys, by the certificates over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from time import monotonic

from cryptography import x509

from pikaserver.api.certificates import Authorities
from pikaserver.api.errors import NotFound, StorageUnavailable
from pikaserver.asn1.certificate import public_key_of
from pikaserver_agents.structures import sha256

FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Use:
    """One generation of an authority; ``certificates`` is its own one and those above it (DER).

    ``reference`` is where the authority says that its key is.
    """

    authority: str
    generation: int
    current: bool
    enabled: bool
    reference: str
    public_key: bytes
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Uses:
    """All of them, by the hash of the key and by the reference."""

    by_key: Mapping[bytes, Sequence[Use]]
    by_reference: Mapping[str, Use]

    def of(self, spki_hash: bytes) -> Sequence[Use]:
        """Return who uses a key, the current generation first."""
        return self.by_key.get(spki_hash, ())

    def authority(self, spki_hash: bytes) -> str:
        """Return the authority that uses a key; empty if none does."""
        return next((use.authority for use in self.of(spki_hash)), "")


class AuthorityUses:
    """Reads the authorities, not more often than needed."""

    def __init__(self, authorities: Authorities) -> None:
        self._authorities = authorities
        self._reading = Lock()
        self._present: Uses | None = None
        self._read = 0.0

    def present(self) -> Uses:
        """Return who uses which key; what others changed is seen after `FRESH_SECONDS`."""
        with self._reading:
            if self._present is None or monotonic() - self._read >= FRESH_SECONDS:
                try:
                    self._present = _index(self._all())
                except StorageUnavailable:
                    if self._present is None:
                        raise
                self._read = monotonic()
            return self._present

    def refresh(self) -> Uses:
        """Return who uses which key now."""
        with self._reading:
            self._read = 0.0
        return self.present()

    def _all(self) -> list[Use]:
        found = []
        for name in self._authorities.names():
            try:
                record = self._authorities.get(name)
            except NotFound:
                continue  # removed meanwhile
            found += [
                Use(
                    authority=name,
                    generation=one.id,
                    current=one.current,
                    enabled=record.enabled,
                    reference=one.key or "",
                    public_key=_public_key(one.certificate),
                    certificates=(one.certificate, *one.chain),
                )
                for one in record.generations
            ]
        return found


def _index(uses: Sequence[Use]) -> Uses:
    by_key: dict[bytes, list[Use]] = {}
    for use in sorted(uses, key=lambda use: not use.current):
        by_key.setdefault(sha256(use.public_key), []).append(use)
    by_reference: dict[str, Use] = {}
    for use in uses:
        if use.reference and (use.current or use.reference not in by_reference):
            by_reference[use.reference] = use
    return Uses(by_key, by_reference)


@lru_cache(maxsize=256)
def _public_key(certificate: bytes) -> bytes:
    return public_key_of(x509.load_der_x509_certificate(certificate))
