"""The authorities as the rest of the house sees them: read once, kept until one changes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.errors import Conflict, NotFound, StorageUnavailable
from pikaserver.api.storage import Database
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.storage import authorities as storage
from pikaserver.storage import certificates, revisions


class ServiceSettings(BaseModel):
    """How the certificate of a service of an authority is; unset means what the template says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str | None = None
    key: str | None = None
    """Reference of the key; unset: software keys, a new one for each certificate."""
    key_type: str | None = None
    hash: str | None = None
    pss: bool = False
    validity_seconds: int | None = Field(default=None, ge=3600)
    subject: str | None = None


class AuthoritySettings(BaseModel):
    """What an authority says about itself; empty URL tuples mean the server's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer_urls: tuple[str, ...] = ()
    crl_urls: tuple[str, ...] = ()
    ocsp_urls: tuple[str, ...] = ()
    cps_url: str | None = None
    crl_every_seconds: int = Field(default=24 * 3600, ge=60)
    crl_validity_seconds: int = Field(default=7 * 24 * 3600, ge=120)
    crl_on_revocation: bool = True
    """Whether a CRL is signed at once when something was revoked, or at its hours only."""
    crl_deltas: bool = False
    crl_delta_every_seconds: int = Field(default=3600, ge=60)
    crl_delta_validity_seconds: int = Field(default=24 * 3600, ge=120)
    crl_delta_urls: tuple[str, ...] = ()
    crl_shards: int = Field(default=0, ge=0, le=1000)
    """Into how many parts the CRL is divided for certificates issued from now on."""
    crl_full: bool = True
    """Whether the full CRL lists what is on the parts, too."""
    crl_keep_expired: bool = False
    """Whether expired certificates stay on the CRL (expiredCertsOnCRL)."""
    crl_outdated: Mapping[int, int] = Field(default_factory=dict)
    """By generation: CRLs up to this number say what these settings do not say any more."""
    takes_over_at: datetime | None = None
    """When the prepared key takes over by itself; unset: when somebody says so."""
    services: Mapping[str, ServiceSettings] = Field(default_factory=dict)
    """By the name of the service, or ``service.unit``."""


@dataclass(frozen=True)
class IssuingKey:
    """One generation of an authority, loaded: what is needed to sign and to check under it."""

    authority: str
    generation: Generation
    settings: AuthoritySettings = field(default_factory=AuthoritySettings)
    revoked: bool = False
    """Whether its own certificate, or one above it, is revoked or on hold."""

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The authority's own certificate."""
        return x509.load_der_x509_certificate(self.generation.certificate)

    @cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The certificates above, from its issuer to the root."""
        return tuple(x509.load_der_x509_certificate(der) for der in self.generation.chain)

    @cached_property
    def key_identifier(self) -> bytes:
        """SubjectKeyIdentifier of the authority's certificate (RFC 5280 section 4.2.1.2)."""
        extension = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return extension.value.digest

    @cached_property
    def key_type(self) -> str:
        """Our name of the key's type."""
        return key_type(self.public_key)

    @cached_property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo, as the certificate holds it."""
        return public_key_of(self.certificate)


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """All authorities at one revision of the configuration."""

    revision: int
    records: Mapping[str, AuthorityRecord]
    keys: Mapping[int, IssuingKey]
    settings: Mapping[str, AuthoritySettings]

    def get(self, name: str) -> AuthorityRecord:
        """Return one authority, or say which there are."""
        if name not in self.records:
            known = ", ".join(self.records) or "none yet"
            raise NotFound(f"there is no authority {name!r}; there are: {known}")
        return self.records[name]

    def key(self, name: str, number: int | None = None) -> IssuingKey:
        """Return one generation, by default the current one."""
        record = self.get(name)
        if not record.generations:
            raise Conflict(f"authority {name!r} waits for its certificate")
        for generation in record.generations:
            if generation.number == number or (number is None and generation.current):
                return self.keys[generation.id]
        raise NotFound(f"authority {name!r} has no generation {number}")

    def issuing_key(self, name: str, *, to_be_replaced: bool = False) -> IssuingKey:
        """Return the current generation of an authority that may sign.

        A revoked one may only be replaced.

        Raises:
            Conflict: it is disabled or revoked, has no certificate, or its key is elsewhere.
        """
        if not self.get(name).enabled:
            raise Conflict(f"authority {name!r} is disabled")
        key = self.key(name)
        if key.generation.key is None:
            raise Conflict(f"the key of authority {name!r} is not on this server")
        if key.revoked and not to_be_replaced:
            raise Conflict(
                f"the certificate of authority {name!r}, or one above it, is revoked;"
                " 'pikaserver ca rekey' gives it a new key"
            )
        return key


class AuthorityDirectory:
    """Implements ``pikaserver.api.certificates.Authorities`` with a cache over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._view: AuthorityView | None = None

    def names(self) -> Sequence[str]:
        """See the protocol."""
        return list(self._present().records)

    def get(self, name: str) -> AuthorityRecord:
        """See the protocol."""
        return self._present().get(name)

    def key(self, name: str, number: int | None = None) -> IssuingKey:
        """Return one generation, by default the current one.

        Raises:
            NotFound: no such authority or generation.
            Conflict: the authority has no certificate yet.
        """
        return self._present().key(name, number)

    def issuing_key(self, name: str, *, to_be_replaced: bool = False) -> IssuingKey:
        """Return the current generation of an authority that may sign; see `AuthorityView`."""
        return self._present().issuing_key(name, to_be_replaced=to_be_replaced)

    def settings(self, name: str) -> AuthoritySettings:
        """Return what an authority says about itself."""
        view = self._present()
        return view.settings[view.get(name).name]

    def prepared(self, name: str) -> IssuingKey | None:
        """Return the key that comes next, if its certificate is there already."""
        generation = self.get(name).prepared
        return None if generation is None else self.key(name, generation.number)

    def all_keys(self) -> Sequence[IssuingKey]:
        """Return every generation of every authority."""
        return list(self._present().keys.values())

    def view(self, connection: Connection) -> AuthorityView:
        """Return all authorities as this connection sees them."""
        number = revisions.number(connection)
        view = self._view
        if view is None or view.revision != number:
            view = self._view = _read(connection, number)
        return view

    def _present(self) -> AuthorityView:
        try:
            with self._database.reading() as connection:
                return self.view(connection)
        except StorageUnavailable:
            # Status goes on with what is known; whoever signs needs the database itself.
            if self._view is None:
                raise
            return self._view


def _read(connection: Connection, revision: int) -> AuthorityView:
    rows = storage.load_all(connection)
    records = {record.name: record for record, _ in rows}
    settings = {record.name: AuthoritySettings.model_validate_json(text) for record, text in rows}
    generations = [(record, one) for record, _ in rows for one in record.generations]
    prints = {one.id: _fingerprints(one) for _, one in generations}
    revoked = certificates.revoked_among(connection, set().union(*prints.values()))
    keys = {
        one.id: IssuingKey(
            record.name, one, settings[record.name], not revoked.isdisjoint(prints[one.id])
        )
        for record, one in generations
    }
    return AuthorityView(revision, records, keys, settings)


def _fingerprints(generation: Generation) -> set[str]:
    ders = (generation.certificate, *generation.chain)
    return {hashlib.sha256(der).hexdigest() for der in ders}
