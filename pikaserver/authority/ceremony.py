"""Making authorities: roots, subordinates, authorities that others sign, and imported ones."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from pikaserver.api.certificates import AuthorityRecord
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyReference
from pikaserver.api.storage import Database
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, AuthoritySettings
from pikaserver.authority.ca_certificates import CaCertificates, CaContent
from pikaserver.authority.chains import check_path, order_chain
from pikaserver.authority.issuance import Issuance, SignerRegistry, Together
from pikaserver.signing.sign import sign_tbs
from pikaserver.storage import authorities as storage
from pikaserver.storage import revisions
from pikaserver.storage.authorities import NewGeneration

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class AuthorityPlan:
    """What an operator wants of a new authority or a new key."""

    name: str
    content: CaContent
    key_type: str
    key: KeyReference
    algorithm: str
    settings: AuthoritySettings = field(default_factory=AuthoritySettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """Makes authorities; each deed leaves certificate, authority and audit line, or nothing.

    Only a root may be left half-made; then the same deed finishes it.
    """

    database: Database
    authorities: AuthorityDirectory
    signers: SignerRegistry
    certificates: CaCertificates
    issuance: Issuance
    audit: AuditTrail
    clock: Clock

    def create_root(self, plan: AuthorityPlan, actor: str) -> AuthorityRecord:
        """Make a key and a self-signed certificate over it, or finish what stopped half-way."""
        generation_id = self._half_made(plan)
        if generation_id is None:
            self._check_name(plan.name)
        spki = self.key_for(plan)
        if generation_id is None:
            generation = NewGeneration(str(plan.key), plan.algorithm, spki)
            with self.database.transaction() as connection:
                generation_id = self._insert(connection, plan, generation, actor)
        draft = self.certificates.root(plan.content, spki, plan.key, plan.algorithm, generation_id)

        def finish(connection: Connection, _id: int, certificate: bytes) -> None:
            storage.activate(connection, generation_id, certificate, (), self.clock())
            revisions.advance(connection)

        self.issuance.issue(draft, Together(with_certificate=finish))
        return self.authorities.get(plan.name)

    def create_subordinate(self, plan: AuthorityPlan, issuer: str, actor: str) -> AuthorityRecord:
        """Make a key and have its certificate signed by an authority of this server."""
        self._check_name(plan.name)
        above = self.authorities.issuing_key(issuer)
        spki = self.key_for(plan)
        draft = self.certificates.subordinate(plan.content, spki, above)
        chain = (above.generation.certificate, *above.generation.chain)

        def finish(connection: Connection, _id: int, certificate: bytes) -> None:
            generation = NewGeneration(
                str(plan.key), plan.algorithm, spki, None, certificate, chain
            )
            self._insert(connection, plan, generation, actor)

        self.issuance.issue(draft, Together(with_certificate=finish))
        return self.authorities.get(plan.name)

    def create_waiting(self, plan: AuthorityPlan, actor: str) -> bytes:
        """Make a key and return the CSR (DER) that another CA shall sign."""
        self._check_name(plan.name)
        spki = self.key_for(plan)
        csr = self.csr(plan, spki, actor)
        generation = NewGeneration(str(plan.key), plan.algorithm, spki, csr)
        with self.database.transaction() as connection:
            self._insert(connection, plan, generation, actor)
        return csr

    def import_signed(
        self, name: str, certificates: list[x509.Certificate], actor: str
    ) -> AuthorityRecord:
        """Take the certificate that another CA made for a key of ours, with its chain.

        Raises:
            RequestRejected: it is over another key, no CA certificate, or its path does not hold.
        """
        record = self.authorities.get(name)
        with self.database.reading() as connection:
            ours = storage.public_keys(connection, record.id)
        certificate, chain = self._checked(certificates, ours.keys())
        generation_id = ours[public_key_of(x509.load_der_x509_certificate(certificate))]
        with self.database.transaction() as connection:
            storage.activate(connection, generation_id, certificate, chain, self.clock())
            revisions.advance(connection)
            self.audit.record(connection, "authority.signed", actor, authority=name)
        return self.authorities.get(name)

    def import_existing(
        self, plan: AuthorityPlan, certificates: list[x509.Certificate], actor: str
    ) -> AuthorityRecord:
        """Take over an authority whose key one of the backends already keeps.

        Raises:
            Conflict: it is here already, under another name.
            RequestRejected: no certificate is over the key, or its path does not hold.
        """
        self._check_name(plan.name)
        spki = self.signers.open(plan.key, plan.algorithm).public_key
        certificate, chain = self._checked(certificates, {spki})
        self._check_new(x509.load_der_x509_certificate(certificate))
        generation = NewGeneration(str(plan.key), plan.algorithm, spki, None, certificate, chain)
        with self.database.transaction() as connection:
            self._insert(connection, plan, generation, actor)
        return self.authorities.get(plan.name)

    def set_enabled(self, name: str, actor: str, *, enabled: bool) -> None:
        """Enable or disable an authority; its CRLs and status answers go on."""
        with self.database.transaction() as connection:
            storage.set_enabled(connection, name, enabled=enabled)
            revisions.advance(connection)
            word = "enabled" if enabled else "disabled"
            self.audit.record(connection, f"authority.{word}", actor, authority=name)

    def save_settings(self, name: str, settings: AuthoritySettings, actor: str) -> None:
        """Replace an authority's URLs and CRL cadence."""
        with self.database.transaction() as connection:
            storage.save_settings(connection, name, settings.model_dump_json())
            revisions.advance(connection)
            self.audit.record(
                connection,
                "authority.changed",
                actor,
                authority=name,
                to=settings.model_dump_json(),
            )

    def key_for(self, plan: AuthorityPlan) -> bytes:
        """Return the plan's public key (SPKI); the key is made unless it is there already."""
        backend = self.signers.backend(plan.key)
        for key in backend.keys():
            if key.reference == plan.key:
                if key_type(key.public_key) != plan.key_type:
                    raise RequestRejected(f"key {plan.key} is not of type {plan.key_type}")
                return key.public_key
        return backend.generate(plan.key, plan.key_type, exportable=False)

    def csr(self, plan: AuthorityPlan, spki: bytes, actor: str) -> bytes:
        """Return a CSR over a key of ours (RFC 2986); the audit trail knows of the signature."""
        info = request_info(plan.content.subject, spki, self.certificates.wish(plan.content, spki))
        signer = self.signers.open(plan.key, plan.algorithm)
        with self.database.transaction() as connection:
            subject = plan.content.subject.rfc4514_string()
            self.audit.record(connection, "csr.signing", actor, key=str(plan.key), subject=subject)
        return assemble_csr(info, plan.algorithm, sign_tbs(signer, info, spki))

    def _half_made(self, plan: AuthorityPlan) -> int | None:
        """Return the generation of a root whose certificate was never signed.

        A root stands in the database before its certificate, which refers to it.
        """
        if plan.name not in self.authorities.names():
            return None
        record = self.authorities.get(plan.name)
        if record.generations or record.waiting_csr is not None:
            return None
        with self.database.reading() as connection:
            waiting = storage.public_keys(connection, record.id)
        keys = self.signers.backend(plan.key).keys()
        own = next((key.public_key for key in keys if key.reference == plan.key), b"")
        return waiting.get(own)

    def _insert(
        self, connection: Connection, plan: AuthorityPlan, generation: NewGeneration, actor: str
    ) -> int:
        now = self.clock()
        authority_id = storage.insert_authority(
            connection, plan.name, plan.settings.model_dump_json(), now
        )
        generation_id = storage.insert_generation(connection, authority_id, generation, now)
        revisions.advance(connection)
        self.audit.record(
            connection,
            "authority.created",
            actor,
            authority=plan.name,
            key=str(plan.key),
            algorithm=plan.algorithm,
        )
        return generation_id

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise RequestRejected(
                f"{name!r} is no name for an authority: it may have letters a-z, digits, hyphens"
            )
        if name in self.authorities.names():
            raise Conflict(f"there is an authority {name!r} already")

    def _check_new(self, own: x509.Certificate) -> None:
        """Refuse the same CA twice: each would sign CRLs that lack what the other revoked."""
        for key in self.authorities.all_keys():
            same = key.certificate.subject == own.subject
            if same and key.public_key == public_key_of(own):
                raise Conflict(f"this CA is here already: authority {key.authority!r}")

    def _checked(
        self, certificates: list[x509.Certificate], ours: Collection[bytes]
    ) -> tuple[bytes, tuple[bytes, ...]]:
        own = next((one for one in certificates if public_key_of(one) in ours), None)
        if own is None:
            raise RequestRejected(
                "the key belongs to none of these certificates: another one was made for it"
            )
        chain = order_chain(own, [one for one in certificates if one is not own])
        check_path(own, chain, self.clock())
        return der(own), tuple(der(one) for one in chain)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's octets."""
    return certificate.public_bytes(Encoding.DER)
