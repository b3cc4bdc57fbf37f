"""TLS of the listeners: the server's certificates and the trust in clients', both renewable.

OpenSSL verifies that a client holds its key (CertificateVerify) and that its certificate is
valid and chains to a trust anchor.  **Revocation, purpose and the template's authorities are
the application's to check, on every request.**
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from pikaserver.api.errors import ConfigurationError, PikaserverError
from pikaserver.api.operations import Clock, Health, HealthState
from pikaserver.web.tls_contexts import ClientCertificates, TlsIdentity, build_context
from pikaserver.web.tls_lines import TlsLine

logger = logging.getLogger(__name__)

Identities = tuple[TlsIdentity, ...]


class IdentityFiles:
    """A certificate chain and a key that somebody else keeps in two PEM files."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key

    def __call__(self) -> TlsIdentity:
        """Read both; their content is the token, for a file's time may stand still.

        Raises:
            OSError: a file cannot be read.
        """
        chain, key = self._chain.read_bytes(), self._key.read_bytes()
        return TlsIdentity(chain, key, hashlib.sha256(chain + b"\0" + key).hexdigest())


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """All are asked again and again: what they return next is used without a restart.

    ``trust_anchors`` returns certificates, DER; each is an end of its own, root or not.  ``also``
    has further identities with other kinds of keys: beside an ML-DSA certificate a classical
    one, for clients that do not know ML-DSA.
    """

    identity: Callable[[], TlsIdentity]
    trust_anchors: Callable[[], Sequence[bytes]] = tuple
    also: tuple[Callable[[], TlsIdentity], ...] = ()


class TlsContexts:
    """The context for the next connection; connections that stand keep theirs."""

    def __init__(
        self, listener: str, settings: TlsSettings, ask: ClientCertificates, clock: Clock
    ) -> None:
        self._listener = listener
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._reported: tuple[str, str] | None = None
        try:
            self._identities, self._anchors = self._read()
            self._current = build_context(self._identities, self._anchors, ask)
        except (OSError, ValueError, PikaserverError) as error:
            raise ConfigurationError(f"TLS of listener {listener!r}: {error}") from error

    def line(self, sock: socket) -> TlsLine:
        """Return TLS over a new connection; the handshake is still to come."""
        return TlsLine(self._current, sock)

    def refresh(self) -> None:
        """Look for a new certificate and new trust anchors; a bad one leaves the old in use."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            identities, anchors = self._read()
        except (OSError, ValueError, PikaserverError) as error:
            self._report("unreadable", str(error))
        else:
            self._use(identities, anchors)
        finally:
            self._lock.release()

    service = refresh

    def cancel(self) -> None:
        """Nothing is lost when a server stops before it looked."""

    def _read(self) -> tuple[Identities, tuple[bytes, ...]]:
        anchors = () if self._ask == "none" else tuple(self._settings.trust_anchors())
        sources = (self._settings.identity, *self._settings.also)
        return tuple(source() for source in sources), anchors

    def _use(self, identities: Identities, anchors: tuple[bytes, ...]) -> None:
        if _versions(identities) == _versions(self._identities) and anchors == self._anchors:
            self._fault = self._reported = None
            return
        try:
            context = build_context(identities, anchors, self._ask)
        except ConfigurationError as error:
            self._report(_versions(identities), str(error))
            if anchors == self._anchors:
                return
            # A new authority is known all the same.
            identities = self._identities
            context = build_context(identities, anchors, self._ask)
        else:
            self._fault = self._reported = None
        self._current, self._identities, self._anchors = context, identities, anchors
        logger.info("tls renewed", extra={"event": "tls-renewed", "listener": self._listener})

    def _report(self, version: str, why: str) -> None:
        self._fault = why
        if self._reported != (version, why):
            self._reported = (version, why)
            logger.error(
                "tls certificate not usable, the old one stays",
                extra={"event": "tls-certificate-bad", "listener": self._listener, "why": why},
            )

    def health(self) -> Health:
        """Say whether the newest certificate is the one in use, and whether it is valid."""
        self.refresh()
        until = min(one.certificate().not_valid_after_utc for one in self._identities)
        if self._fault is not None:
            why = f"the new certificate is not usable, the old one is served: {self._fault}"
            return Health(HealthState.DEGRADED, why)
        if until < self._clock():
            return Health(
                HealthState.DEGRADED, f"the certificate expired at {until:%Y-%m-%d %H:%M}"
            )
        return Health(HealthState.OK, f"the certificate is valid until {until:%Y-%m-%d %H:%M}")


def _versions(identities: Identities) -> str:
    return " ".join(identity.version for identity in identities)
