"""The places where keys live, found by the scheme of a key reference."""

import logging
from collections.abc import Mapping, Sequence

from pikaserver.api.errors import Conflict, NotFound, Unavailable
from pikaserver.api.signing import (
    CertificateKeeper,
    Decrypter,
    DecrypterBackend,
    KeyDescription,
    KeyFinder,
    KeyGuard,
    KeyReference,
    KeyRole,
    RoleKeyMaker,
    Signer,
    SignerBackend,
)

_log = logging.getLogger(__name__)


class SignerRegistry:
    """Finds the backend of a key by the scheme of its reference."""

    def __init__(self, backends: Mapping[str, SignerBackend]) -> None:
        self._backends = backends

    def backend(self, reference: KeyReference) -> SignerBackend:
        """Return the place where this key lives.

        Raises:
            NotFound: no enabled plugin knows the scheme.
        """
        if reference.scheme not in self._backends:
            known = ", ".join(sorted(self._backends))
            raise NotFound(
                f"no enabled plugin keeps keys of scheme {reference.scheme!r}; there are: {known}"
            )
        return self._backends[reference.scheme]

    def open(self, reference: KeyReference, algorithm: str) -> Signer:
        """Return a key ready to sign."""
        return self.backend(reference).open(reference, algorithm)

    def open_decrypter(self, reference: KeyReference) -> Decrypter:
        """Return an RSA key ready to decrypt.

        Raises:
            Conflict: keys of this place do not decrypt.
        """
        backend = self.backend(reference)
        if not isinstance(backend, DecrypterBackend):
            raise Conflict(f"keys of scheme {reference.scheme!r} sign only: they do not decrypt")
        return backend.open_decrypter(reference)

    def find(self, reference: KeyReference) -> KeyDescription | None:
        """Return a key without opening it, or ``None`` where it is not there yet."""
        backend = self.backend(reference)
        if isinstance(backend, KeyFinder):
            return backend.find(reference)
        return next((key for key in backend.keys() if key.reference == reference), None)

    def generate(self, role: KeyRole, reference: KeyReference, key_type: str) -> bytes:
        """Make a key, never to be exported; return its SPKI."""
        backend = self.backend(reference)
        if isinstance(backend, RoleKeyMaker):
            return backend.generate_for(role, reference, key_type)
        return backend.generate(reference, key_type, exportable=False)

    def check_authority(self, reference: KeyReference, authority: str) -> None:
        """Agree that an authority uses a key.

        Raises:
            NotAllowed: the backend keeps it for others.
        """
        backend = self.backend(reference)
        if isinstance(backend, KeyGuard):
            backend.check_authority(reference, authority)

    def keep_certificate(self, reference: KeyReference, certificates: Sequence[bytes]) -> None:
        """Hand an authority's certificate to who keeps its key, if that wants to have it."""
        backend = self.backend(reference)
        if not isinstance(backend, CertificateKeeper):
            return
        try:
            backend.keep_certificate(reference, certificates)
        except Unavailable:
            _log.warning("certificate not handed over yet", extra={"key": str(reference)})

    def backends(self) -> Mapping[str, SignerBackend]:
        """Return all backends by scheme."""
        return self._backends
