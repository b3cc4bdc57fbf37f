"""Finds by the hashes of a CertID which authority, and which of its keys, is meant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.certificates import Authorities, AuthorityRecord, Generation
from pikaserver.api.storage import Database
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.ocsp import FORMS, issuer_octets


@dataclass(frozen=True, slots=True)
class Issuer:
    """One generation of an authority, as one form of CertID names it.

    ``octets`` are those of the CertID before the serial number; ``form`` is their index in
    ``pikaserver.asn1.ocsp.FORMS``.
    """

    authority: str
    generation: Generation
    form: int
    octets: bytes


class Issuers:
    """All authorities by what CertIDs call them; read anew when a name is not known yet."""

    def __init__(self, authorities: Authorities, database: Database) -> None:
        self._authorities = authorities
        self._database = database
        self._commits: int | None = None
        self._records: Sequence[AuthorityRecord] = ()
        self._names: frozenset[str] = frozenset()
        self._by_octets: dict[bytes, Issuer] = {}
        self._by_form: dict[tuple[int, int], Issuer] = {}

    def find(self, octets: bytes) -> Issuer | None:
        """Return the issuer that a CertID names, ``None`` for one that is not ours."""
        if octets not in self._by_octets:
            self._refresh()
        return self._by_octets.get(octets)

    def get(self, generation_id: int, form: int) -> Issuer | None:
        """Return a generation as a form names it; ``None`` where it is not there any more."""
        if (generation_id, form) not in self._by_form:
            self._refresh()
        return self._by_form.get((generation_id, form))

    def has(self, authority: str) -> bool:
        """Tell whether there is an authority of this name."""
        if authority not in self._names:
            self._refresh()
        return authority in self._names

    def _refresh(self) -> None:
        """Read the authorities, unless nothing at all was written since the last time."""
        commits = self._database.commits()
        if commits is not None and commits == self._commits:
            return
        records = [self._authorities.get(name) for name in self._authorities.names()]
        if records != self._records:
            found = [issuer for record in records for issuer in _issuers(record)]
            self._names = frozenset(record.name for record in records)
            # The first one wins: two authorities of one name and key cannot be told apart.
            self._by_octets = {issuer.octets: issuer for issuer in reversed(found)}
            self._by_form = {
                (issuer.generation.id, issuer.form): issuer for issuer in reversed(found)
            }
        self._records, self._commits = records, commits


def _issuers(record: AuthorityRecord) -> Iterator[Issuer]:
    for generation in record.generations:
        # A cross-certificate has the same key, and perhaps another spelling of the name.
        for certificate in (generation.certificate, *generation.others):
            loaded = x509.load_der_x509_certificate(certificate)
            subject, spki = subject_of(loaded), public_key_of(loaded)
            for form in range(len(FORMS)):
                yield Issuer(record.name, generation, form, issuer_octets(form, subject, spki))
