"""Authorities, certificates, their status, and CRLs, as values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Protocol


class RevocationReason(Enum):
    """CRLReason (RFC 5280 section 5.3.1); the value is the number on the wire."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10

    @property
    def rfc_name(self) -> str:
        """The identifier in the RFC's ASN.1: ``keyCompromise``."""
        first, *rest = self.name.lower().split("_")
        special = {"ca": "cA", "aa": "aA", "crl": "CRL"}
        return special.get(first, first) + "".join(special.get(w, w.capitalize()) for w in rest)


class CertificateStatus(StrEnum):
    """What a person wants to know of a certificate."""

    PENDING = "pending"
    """Its serial is reserved and the signature may exist; it can be revoked."""
    VALID = "valid"
    ON_HOLD = "on-hold"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Revocation:
    """When and why a certificate was revoked."""

    at: datetime
    reason: RevocationReason
    invalidity_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One certificate of ours as the database knows it.

    ``certificate`` is DER, or ``None`` while only the intent is stored.  ``names`` are the
    subject alternative names as ``dns:www.example``.  ``fingerprint`` is SHA-256 in hex.
    ``template`` is ``None`` for what a ceremony made: roots, cross-certificates.
    """

    id: int
    authority: str
    generation: int
    serial: int
    status: CertificateStatus
    certificate: bytes | None
    fingerprint: str | None
    subject: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    template: str | None
    template_version: int
    door: str
    requester: str
    issued_at: datetime
    revocation: Revocation | None


@dataclass(frozen=True, slots=True)
class CertificateQuery:
    """What to look for; unset fields do not restrict.  ``after`` is the last id seen.

    ``fingerprint`` is SHA-256 of the certificate, ``key_hash`` of its SPKI, both in hex.
    ``device`` is the number of a device.  ``related`` is the fingerprint of the certificate that
    those to be found are bound to (RFC 9763).
    """

    authority: str | None = None
    serial: int | None = None
    subject: str | None = None
    name: str | None = None
    fingerprint: str | None = None
    key_hash: str | None = None
    template: str | None = None
    status: CertificateStatus | None = None
    expires_after: datetime | None = None
    expires_before: datetime | None = None
    device: int | None = None
    related: str | None = None
    after: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class SignedOctets:
    """One certificate as its signer saw it: ``tbs_hash`` is the SHA-256 of what was signed.

    ``state`` is ``issued``; ``intent`` or ``awaiting``: it may have been signed; ``abandoned``.
    """

    serial: int
    tbs_hash: bytes
    state: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SerialStatus:
    """What a status service has to know of a serial number that is taken.

    ``issued`` is false while the serial is only reserved: its signature may exist, but nobody
    was given the certificate.
    """

    issued: bool
    not_after: datetime
    revocation: Revocation | None


class Certificates(Protocol):
    """Reading what was issued."""

    def get(self, certificate_id: int) -> CertificateRecord:
        """Return one certificate by its number in the database.

        Raises:
            NotFound: no such certificate.
        """
        ...

    def find(self, query: CertificateQuery) -> Sequence[CertificateRecord]:
        """Return one page, newest first; the next page starts ``after`` the last id."""
        ...

    def by_certificate(self, certificate: bytes) -> CertificateRecord:
        """Find a certificate of ours by its DER.

        Raises:
            NotFound: it is not one that we issued.
        """
        ...

    def signed_octets(self, generation_id: int) -> Iterator[SignedOctets]:
        """Yield what the key of a generation was asked to sign, certificates only."""
        ...

    def status(self, generation_id: int, serials: Collection[int]) -> Mapping[int, SerialStatus]:
        """Return what is known of these serials; one that was never taken is left out.

        As quick as the database can be: a few serials are looked up in one view of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """One key of an authority and the certificate over it.

    ``certificate`` is DER; ``chain`` runs from its issuer to the root.  ``key`` is a
    `KeyReference` as text, or ``None`` when the key is elsewhere.  ``others`` are further
    certificates over this key: earlier ones, cross-certificates, and of a root that changed
    its key OldWithNew and NewWithOld (RFC 4210 section 4.4).  One that is ``prepared`` signs
    CRLs and links of its own alone, until it takes over.
    """

    id: int
    number: int
    certificate: bytes
    chain: tuple[bytes, ...]
    key: str | None
    algorithm: str
    current: bool
    others: tuple[bytes, ...] = ()
    prepared: bool = False


@dataclass(frozen=True, slots=True)
class AuthorityRecord:
    """A CA with its generations, newest first; empty while its first CSR waits.

    ``waiting_csr`` is the DER of a CSR whose certificate somebody else will sign.
    """

    id: int
    name: str
    enabled: bool
    generations: tuple[Generation, ...]
    waiting_csr: bytes | None = None

    @property
    def prepared(self) -> Generation | None:
        """The key that comes next, if its certificate is there before it takes over."""
        return next((one for one in self.generations if one.prepared), None)


class Authorities(Protocol):
    """Reading the authorities."""

    def names(self) -> Sequence[str]:
        """Return the names of all authorities, in the order in which they were made."""
        ...

    def get(self, name: str) -> AuthorityRecord:
        """Return one authority.

        Raises:
            NotFound: no such authority.
        """
        ...
