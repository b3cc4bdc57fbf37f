"""What a server knows, in memory: throw-away authorities, certificates, CRLs."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from cryptography import x509

from pikaserver.api.certificates import (
    AuthorityRecord,
    CertificateQuery,
    CertificateRecord,
    CertificateStatus,
    Generation,
    Revocation,
    RevocationReason,
    SerialStatus,
    SignedOctets,
)
from pikaserver.api.crls import FULL_CRL, CrlOctets, CrlRecord, CrlSummary
from pikaserver.api.errors import NotFound, StorageUnavailable
from pikaserver.api.operations import Clock, Entropy
from pikaserver.asn1.certificate import tbs_of
from pikaserver.asn1.related_certificates import fingerprint_of, related_hash
from pikaserver.testing.throw_away import ThrowAwayAuthority

CRL_LIFETIME = timedelta(days=1)
GENERATIONS = 1000
"""An authority has fewer: the id of a generation tells whose it is."""


class FakeAuthorities:
    """Throw-away authorities; ``keys`` holds those of each, newest first."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self.keys: dict[str, list[ThrowAwayAuthority]] = {}
        self.others: dict[tuple[str, int], tuple[bytes, ...]] = {}

    def add(self, name: str, issuer: str | None = None) -> ThrowAwayAuthority:
        """Make an authority, or a new generation of one that is there."""
        above = None if issuer is None else self.keys[issuer][0]
        made = ThrowAwayAuthority(name, self._clock(), self._entropy, above)
        self.keys.setdefault(name, []).insert(0, made)
        return made

    def names(self) -> list[str]:
        """See ``pikaserver.api.certificates.Authorities``."""
        return list(self.keys)

    def get(self, name: str) -> AuthorityRecord:
        """See ``pikaserver.api.certificates.Authorities``."""
        if name not in self.keys:
            raise NotFound(f"no authority {name!r}")
        newest = len(self.keys[name])
        place = list(self.keys).index(name)
        generations = tuple(
            Generation(
                id=place * GENERATIONS + number,
                number=number,
                certificate=key.certificate,
                chain=key.chain,
                key=f"software:{name}-{number}",
                algorithm="ecdsa-sha256",
                current=number == newest,
                others=self.others.get((name, number), ()),
            )
            for number, key in zip(range(newest, 0, -1), self.keys[name], strict=True)
        )
        return AuthorityRecord(place + 1, name, True, generations)  # noqa: FBT003 - enabled

    def named(self, generation_id: int) -> tuple[str, int]:
        """Return authority and number of a generation."""
        place, number = divmod(generation_id, GENERATIONS)
        return list(self.keys)[place], number


class FakeCertificates:
    """Certificates by their number; ``records`` may be changed by a test.

    While there is a ``failure``, nobody hears the status of serial numbers.
    """

    def __init__(self, clock: Clock, authorities: FakeAuthorities) -> None:
        self._clock = clock
        self._authorities = authorities
        self.records: dict[int, CertificateRecord] = {}
        self.failure: StorageUnavailable | None = None

    def add(self, record: CertificateRecord) -> CertificateRecord:
        """Store a record, or a changed one in its place."""
        self.records[record.id] = record
        return self._now(record)

    def get(self, certificate_id: int) -> CertificateRecord:
        """See ``pikaserver.api.certificates.Certificates``."""
        if certificate_id not in self.records:
            raise NotFound(f"no certificate {certificate_id}")
        return self._now(self.records[certificate_id])

    def find(self, query: CertificateQuery) -> Sequence[CertificateRecord]:
        """See ``pikaserver.api.certificates.Certificates``."""
        newest_first = sorted(self.records.values(), key=lambda record: -record.id)
        found = [record for record in map(self._now, newest_first) if _fits(record, query)]
        return found[: query.limit]

    def by_certificate(self, certificate: bytes) -> CertificateRecord:
        """See ``pikaserver.api.certificates.Certificates``."""
        for record in self.records.values():
            if record.certificate == certificate:
                return self._now(record)
        raise NotFound("not a certificate of ours")

    def signed_octets(self, generation_id: int) -> Iterator[SignedOctets]:
        """See ``pikaserver.api.certificates.Certificates``; all are of one generation."""
        for record in self.records.values():
            if record.certificate is not None:
                digest = hashlib.sha256(tbs_of(record.certificate)).digest()
                yield SignedOctets(record.serial, digest, "issued", record.issued_at)

    def status(self, generation_id: int, serials: Collection[int]) -> Mapping[int, SerialStatus]:
        """See ``pikaserver.api.certificates.Certificates``."""
        if self.failure is not None:
            raise self.failure
        issuer = self._authorities.named(generation_id)
        return {
            one.serial: SerialStatus(one.certificate is not None, one.not_after, one.revocation)
            for one in self.records.values()
            if one.serial in serials and (one.authority, one.generation) == issuer
        }

    def _now(self, record: CertificateRecord) -> CertificateRecord:
        if record.revocation is not None:
            hold = record.revocation.reason is RevocationReason.CERTIFICATE_HOLD
            status = CertificateStatus.ON_HOLD if hold else CertificateStatus.REVOKED
        elif record.certificate is None:
            status = CertificateStatus.PENDING
        elif self._clock() > record.not_after:
            status = CertificateStatus.EXPIRED
        else:
            status = CertificateStatus.VALID
        return replace(record, status=status)


def _fits(record: CertificateRecord, query: CertificateQuery) -> bool:
    return all(_restrictions(record, query))


def _restrictions(record: CertificateRecord, query: CertificateQuery) -> Iterator[bool]:
    for field in ("authority", "serial", "subject", "fingerprint", "template", "status"):
        wanted = getattr(query, field)
        yield wanted is None or getattr(record, field) == wanted
    yield query.name is None or query.name in record.names
    yield query.related is None or _is_bound_to(record, query.related)
    yield query.expires_after is None or record.not_after >= query.expires_after
    yield query.expires_before is None or record.not_after <= query.expires_before
    yield query.after is None or record.id < query.after


def _is_bound_to(record: CertificateRecord, fingerprint: str) -> bool:
    bound = related_hash(x509.load_der_x509_certificate(record.certificate or b""))
    return bound is not None and fingerprint_of(bound) == fingerprint


class FakeCrls:
    """CRLs that are signed when asked."""

    def __init__(
        self, authorities: FakeAuthorities, certificates: FakeCertificates, clock: Clock
    ) -> None:
        self._authorities = authorities
        self._certificates = certificates
        self._clock = clock
        self._newest: dict[tuple[str, int], CrlRecord] = {}
        self.every: timedelta | None = None
        """How often one is signed, where a test says so."""

    def latest(
        self, authority: str, generation: int | None = None, scope: str = FULL_CRL
    ) -> CrlRecord:
        """See ``pikaserver.api.certificates.Crls``."""
        current = len(self._authorities.get(authority).generations)
        record = self._newest.get((authority, generation or current))
        if record is None or scope != FULL_CRL:
            raise NotFound(f"no CRL of {authority!r}")
        return record

    def summaries(self) -> list[CrlSummary]:
        """See ``pikaserver.api.certificates.Crls``."""
        return [one.summary for one in self._newest.values()]

    def issue(self, authority: str) -> list[CrlRecord]:
        """See ``pikaserver.api.certificates.Crls``."""
        keys = self._authorities.keys[authority]
        return [
            self._issue(authority, number, key)
            for number, key in zip(range(len(keys), 0, -1), keys, strict=True)
        ]

    def issue_due(self) -> list[CrlRecord]:
        """See ``pikaserver.api.certificates.Crls``."""
        return [record for name in self._authorities.names() for record in self.issue(name)]

    def _issue(self, name: str, generation: int, key: ThrowAwayAuthority) -> CrlRecord:
        before = self._newest.get((name, generation))
        number = 1 if before is None else before.number + 1
        now, then = self._clock(), self._clock() + CRL_LIFETIME
        entries = [
            _entry(record.serial, record.revocation)
            for record in self._certificates.records.values()
            if (record.authority, record.generation) == (name, generation) and record.revocation
        ]
        crl = key.revoke(number, now, then, entries)
        due_at = now + self.every if self.every else None
        summary = CrlSummary(name, generation, number, now, then, len(entries), due_at=due_at)
        record = CrlRecord(summary, CrlOctets(crl))
        self._newest[name, generation] = record
        return record


def _entry(serial: int, revocation: Revocation) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(serial, revocation.at)
    if revocation.reason is not RevocationReason.UNSPECIFIED:
        flag = x509.ReasonFlags(revocation.reason.rfc_name)
        builder = builder.add_extension(x509.CRLReason(flag), critical=False)
    return builder.build()
