"""The host's own parts, offered through the same hooks as everybody else's."""

from collections.abc import Collection, Mapping
from pathlib import Path

import click

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.hooks import hookimpl
from pikaserver.api.operations import (
    Health,
    HealthCheck,
    HealthState,
    Metric,
    Sample,
)
from pikaserver.api.server import Server
from pikaserver.api.signing import SignerBackend
from pikaserver.api.storage import Database
from pikaserver.api.web import Authenticator
from pikaserver.clock import system_entropy
from pikaserver.settings.loading import Settings
from pikaserver.settings.model import KeySourceKind
from pikaserver.signing.key_files import (
    read_key_file,
    read_passphrase_credential,
)
from pikaserver.signing.sealing import FileKey, KeyEncryptionKey, PassphraseKey
from pikaserver.signing.software import SoftwareBackend
from pikaserver.storage import certificates
from pikaserver.storage.keys import DatabaseKeyStore
from pikaserver.web.authentication import CertificateAuthenticator, CodeAuthenticator


class HostPlugin:
    """Software keys, the two kinds of callers that every server knows, and its health."""

    def __init__(self, kek: KeyEncryptionKey, drafts: Collection[str] = ()) -> None:
        self._kek = kek
        self._drafts = frozenset(drafts)

    @hookimpl
    def register_signer_backends(self, server: Server) -> list[SignerBackend]:
        """Offer the keys in the database, sealed under the key-encryption key."""
        store = DatabaseKeyStore(server.database)
        return [SoftwareBackend(store, self._kek, server.clock, server.entropy, self._drafts)]

    @hookimpl
    def register_authenticators(self, server: Server) -> list[Authenticator]:
        """Know callers by enrolment code and by certificate of ours."""
        return [
            CodeAuthenticator(server.codes, server.clock, server.lockouts),
            CertificateAuthenticator(server.certificates, server.clock),
        ]

    @hookimpl
    def register_health_checks(self, server: Server) -> list[HealthCheck]:
        """Ask the database; tell of intents that nobody resolved."""
        return [
            HealthCheck("database", lambda: _database_health(server.database)),
            HealthCheck("intents", lambda: _intents_health(server.database)),
        ]

    @hookimpl
    def register_metrics(self, server: Server) -> list[Metric]:
        """Count the intents that are open now."""
        return [
            Metric(
                "pikaserver_open_intents",
                "Certificates whose signature is awaited",
                "gauge",
                lambda: [Sample(float(_open_intents(server.database)))],
            )
        ]


def key_encryption_key(settings: Settings, environment: Mapping[str, str]) -> KeyEncryptionKey:
    """Return the key under which the software keys are sealed, from where the settings say.

    Raises:
        ConfigurationError: it is not there, or others may read it.
    """
    keys = settings.host.keys
    match keys.kind:
        case KeySourceKind.FILE:
            path = settings.host.path(keys.name)
            return FileKey(read_key_file(path), system_entropy)
        case KeySourceKind.CREDENTIAL:
            directory = environment.get("CREDENTIALS_DIRECTORY")
            if directory is None:
                raise ConfigurationError(
                    "keys.key-encryption-key names a credential, but systemd gave none"
                )
            secret = read_passphrase_credential(Path(directory), keys.name)
            return PassphraseKey(lambda: secret, system_entropy)
        case KeySourceKind.ENVIRONMENT:
            text = environment.get(keys.name)
            if not text:
                raise ConfigurationError(f"the environment has no {keys.name}")
            return PassphraseKey(text.encode, system_entropy)
        case KeySourceKind.PROMPT:
            return PassphraseKey(_ask, system_entropy)


def _ask() -> bytes:
    passphrase: str = click.prompt("Passphrase of the software keys", hide_input=True, err=True)
    return passphrase.encode()


def _database_health(database: Database) -> Health:
    with database.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    return Health(HealthState.OK, "answers")


def _open_intents(database: Database) -> int:
    with database.reading() as connection:
        return len(certificates.open_intents(connection))


def _intents_health(database: Database) -> Health:
    count = _open_intents(database)
    # Some are open at any moment of a busy server; many mean that signatures do not come.
    state = HealthState.OK if count < _MANY_INTENTS else HealthState.DEGRADED
    return Health(state, f"{count} certificates wait for their signature")


_MANY_INTENTS = 100
