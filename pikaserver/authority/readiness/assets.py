"""Everything that has a key here: authorities, services, certificates of others, plugins' keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.api.key_inventories import KeyInventory
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import KEY_TYPES, algorithm_of, key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.elements import children
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.readiness.renewals import authority_renewal, holder_renewal
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.storage.certificates import CertificateStore

_SERVICE = "server:"
_LIVING = (CertificateStatus.VALID, CertificateStatus.ON_HOLD)


class Exposure(StrEnum):
    """What a quantum computer would break."""

    NONE = "safe"
    KEY = "key"
    """The key itself."""
    PATH = "path"
    """The key of somebody above, who could then sign anything in its name."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One key, what it is for, and how it is replaced."""

    kind: str
    """``authority``, ``service``, ``certificate``, or what an inventory calls it."""
    name: str
    """Of the authority, the service, the template, or the key."""
    label: str
    """Of this very one: a subject, a generation."""
    key_type: str
    exposure: Exposure
    renewal: str
    not_after: datetime | None
    signed_with: str | None = None
    certificate: bytes | None = field(default=None, repr=False)
    place: str | None = None
    status: str = CertificateStatus.VALID
    issuer: bytes | None = field(default=None, repr=False)
    """The certificate above, DER."""


def category(key_type: str) -> int:
    """Return NIST's security category of a key type; 0 for what quantum computers break."""
    found = KEY_TYPES.get(key_type) or KEM_KEY_TYPES.get(key_type) or COMPOSITES.get(key_type)
    return 0 if found is None else found.category


def exposure(key_type: str, path: int) -> Exposure:
    """Return what is broken of a key, given the least category of those above."""
    if not category(key_type):
        return Exposure.KEY
    return Exposure.NONE if path else Exposure.PATH


@dataclass(frozen=True, slots=True)
class Assets:
    """Gathers them, one after the other: there may be many."""

    authorities: AuthorityDirectory
    certificates: CertificateStore
    templates: TemplateDirectory
    inventories: Sequence[KeyInventory]

    def all(self) -> Iterator[Asset]:
        """Yield authorities first, then what plugins keep, then certificates, newest first."""
        keys = self.authorities.all_keys()
        for key in keys:
            yield _authority(key)
        for inventory in self.inventories:
            for kept in inventory.keys():
                yield Asset(
                    inventory.kind,
                    inventory.kind,
                    kept.name,
                    kept.key_type,
                    exposure(kept.key_type, 1),
                    kept.renewal,
                    kept.not_after,
                    certificate=kept.certificate,
                )
        yield from self._issued({(key.authority, key.generation.number): key for key in keys})

    def _issued(self, issuers: Mapping[tuple[str, int], IssuingKey]) -> Iterator[Asset]:
        paths = {name: _path(key) for name, key in issuers.items()}
        templates: dict[str, Template | None] = {}
        for record in self._living():
            if record.certificate is None or record.template is None:
                continue
            above = record.authority, record.generation
            if record.template not in templates:
                templates[record.template] = self._template(record.template)
            yield _issued(
                record, record.certificate, templates[record.template], issuers[above], paths[above]
            )

    def _living(self) -> Iterator[CertificateRecord]:
        for status in _LIVING:
            query = CertificateQuery(status=status, limit=1000)
            while page := self.certificates.find(query):
                yield from page
                query = CertificateQuery(status=status, limit=1000, after=page[-1].id)

    def _template(self, name: str) -> Template | None:
        try:
            return self.templates.get(name)
        except NotFound:
            return None


def _authority(key: IssuingKey) -> Asset:
    generation = key.generation
    self_signed = key.certificate.subject == key.certificate.issuer
    path = min([1, *(category(_key_type(one)) for one in key.chain)])
    return Asset(
        kind="authority",
        name=key.authority,
        label=f"{key.authority}, generation {generation.number}",
        key_type=key.key_type,
        exposure=exposure(key.key_type, path),
        renewal=authority_renewal(key.authority, current=generation.current, root=self_signed),
        not_after=key.certificate.not_valid_after_utc,
        signed_with=signed_with(key.certificate),
        certificate=generation.certificate,
        place=generation.key,
        issuer=generation.chain[0] if generation.chain else None,
    )


def _issued(
    record: CertificateRecord,
    octets: bytes,
    template: Template | None,
    issuer: IssuingKey,
    path: int,
) -> Asset:
    certificate = x509.load_der_x509_certificate(octets)
    kind = _key_type(certificate)
    service = record.requester.startswith(_SERVICE)
    return Asset(
        kind="service" if service else "certificate",
        name=record.requester.removeprefix(_SERVICE) if service else str(record.template),
        label=record.subject or ", ".join(record.names),
        key_type=kind,
        exposure=exposure(kind, path),
        renewal=holder_renewal(template, service=service, authority=record.authority),
        not_after=record.not_after,
        signed_with=signed_with(certificate),
        certificate=octets,
        status=record.status,
        issuer=issuer.generation.certificate,
    )


def _path(key: IssuingKey) -> int:
    """Return the least category of a key and all above."""
    return min(category(key.key_type), *(category(_key_type(one)) for one in key.chain), 5)


def _key_type(certificate: x509.Certificate) -> str:
    return key_type(public_key_of(certificate))


def signed_with(certificate: x509.Certificate) -> str:
    """Return our name of a certificate's signature algorithm, or ``unknown``."""
    octets = certificate.tbs_certificate_bytes
    fields = [one for one in children(octets) if one.tag != 0xA0]  # noqa: PLR2004 - [0] version
    try:
        return algorithm_of(octets[fields[1].at : fields[1].end])
    except MalformedRequest:
        return "unknown"
