"""Making authorities: roots, subordinates, authorities that others sign, and imported ones."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from pikaserver.api.certificates import AuthorityRecord
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyReference, KeyRole
from pikaserver.api.storage import Database
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, AuthoritySettings
from pikaserver.authority.ca_certificates import CaCertificates, CaContent
from pikaserver.authority.chains import check_path, order_chain
from pikaserver.authority.crls.scopes import outdating
from pikaserver.authority.issuance import Issuance, Together
from pikaserver.authority.preparation import key_reference
from pikaserver.authority.services.limits import refuse_shared_keys
from pikaserver.authority.signers import SignerRegistry
from pikaserver.signing.sign import sign_tbs
from pikaserver.storage import authorities as storage
from pikaserver.storage import revisions
from pikaserver.storage.authorities import NewGeneration

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def silently(step: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class AuthorityPlan:
    """What an operator wants of a new authority or a new key."""

    name: str
    content: CaContent
    key_type: str
    key: KeyReference
    algorithm: str
    settings: AuthoritySettings = field(default_factory=AuthoritySettings)
    tell: Callable[[str], None] = silently
    """Is told each step, in words for a person."""


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
        half_made = self._half_made(plan.name)
        if not half_made:
            self._check_name(plan.name)
        spki = self.key_for(plan, KeyRole.ROOT)
        with self.database.transaction() as connection:
            generation_id = self._begin_root(connection, plan, spki, half_made, actor)
        draft = self.certificates.root(plan.content, spki, plan.key, plan.algorithm, generation_id)

        def finish(connection: Connection, _id: int, certificate: bytes) -> None:
            storage.activate(connection, generation_id, certificate, (), self.clock())
            revisions.advance(connection)

        self.issuance.issue(draft, Together(with_certificate=finish))
        plan.tell("its certificate is signed by itself and stored")
        self.hand_over(plan.name)
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
        plan.tell(f"its certificate is signed by {issuer} and stored")
        self.hand_over(plan.name)
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
        self.hand_over(name, generation_id)
        return self.authorities.get(name)

    def import_existing(
        self,
        plan: AuthorityPlan,
        certificates: list[x509.Certificate],
        actor: str,
        *,
        keyless: bool = False,
    ) -> AuthorityRecord:
        """Take over an authority whose key one of the backends already keeps.

        A keyless one, whose key is elsewhere, is served and verified against, and signs
        nothing here; its certificate is the first one.

        Raises:
            Conflict: it is here already, under another name.
            RequestRejected: no certificate is over the key, or its path does not hold.
        """
        self._check_name(plan.name)
        if keyless:
            spki, key = public_key_of(certificates[0]), None
        else:
            self.signers.check_authority(plan.key, plan.name)
            spki, key = self.signers.open(plan.key, plan.algorithm).public_key, str(plan.key)
        certificate, chain = self._checked(certificates, {spki})
        self._check_new(x509.load_der_x509_certificate(certificate))
        generation = NewGeneration(key, plan.algorithm, spki, None, certificate, chain)
        with self.database.transaction() as connection:
            self._insert(connection, plan, generation, actor)
        self.hand_over(plan.name)
        return self.authorities.get(plan.name)

    def hand_over(self, name: str, generation_id: int | None = None) -> None:
        """Give the certificate of a key, by default the current one, to who keeps it."""
        found = [one for one in self.authorities.get(name).generations if one.id == generation_id]
        key = self.authorities.key(name, found[0].number if found else None)
        if key.generation.key is None:
            return
        certificates = key.generation.certificate, *key.generation.chain
        self.signers.keep_certificate(key_reference(key), certificates)

    def set_enabled(self, name: str, actor: str, *, enabled: bool) -> None:
        """Enable or disable an authority; its CRLs and status answers go on."""
        with self.database.transaction() as connection:
            storage.set_enabled(connection, name, enabled=enabled)
            revisions.advance(connection)
            word = "enabled" if enabled else "disabled"
            self.audit.record(connection, f"authority.{word}", actor, authority=name)

    def save_settings(self, name: str, settings: AuthoritySettings, actor: str) -> None:
        """Replace what an authority says about itself; see `refuse_shared_keys`."""
        refuse_shared_keys(settings, self.authorities.all_keys())
        with self.database.transaction() as connection:
            settings = outdating(connection, self.authorities.view(connection), name, settings)
            storage.save_settings(connection, name, settings.model_dump_json())
            revisions.advance(connection)
            self.audit.record(
                connection,
                "authority.changed",
                actor,
                authority=name,
                to=settings.model_dump_json(),
            )

    def key_for(self, plan: AuthorityPlan, role: KeyRole = KeyRole.AUTHORITY) -> bytes:
        """Return the plan's public key (SPKI); the key is made unless it is there already.

        The key of a root will sign its own certificate.
        """
        self.signers.check_authority(plan.key, plan.name)
        key = self.signers.find(plan.key)
        if key is None:
            public_key = self.signers.generate(role, plan.key, plan.key_type)
            plan.tell(f"key {plan.key} is made: {plan.key_type}")
            return public_key
        plan.tell(f"key {plan.key} is there: {key.key_type}")
        if key_type(key.public_key) != plan.key_type:
            raise RequestRejected(f"key {plan.key} is not of type {plan.key_type}")
        return key.public_key

    def csr(self, plan: AuthorityPlan, spki: bytes, actor: str) -> bytes:
        """Return a CSR over a key of ours (RFC 2986); the audit trail knows of the signature."""
        info = request_info(plan.content.subject, spki, self.certificates.wish(plan.content, spki))
        signer = self.signers.open(plan.key, plan.algorithm)
        with self.database.transaction() as connection:
            subject = plan.content.subject.rfc4514_string()
            self.audit.record(connection, "csr.signing", actor, key=str(plan.key), subject=subject)
        return assemble_csr(info, plan.algorithm, sign_tbs(signer, info, spki))

    def _half_made(self, name: str) -> int:
        """Return the authority of this name if it is a root that has signed nothing, else 0.

        A root stands in the database before its certificate, which refers to it.
        """
        if name not in self.authorities.names():
            return 0
        record = self.authorities.get(name)
        return 0 if record.generations or record.waiting_csr is not None else record.id

    def _begin_root(
        self, connection: Connection, plan: AuthorityPlan, spki: bytes, half_made: int, actor: str
    ) -> int:
        """Return the generation that the certificate will belong to; it may be there already.

        What signed nothing with one key may try another.
        """
        known = storage.public_keys(connection, half_made).get(spki)
        generation = NewGeneration(str(plan.key), plan.algorithm, spki)
        return known or self._insert(connection, plan, generation, actor, half_made)

    def _insert(
        self,
        connection: Connection,
        plan: AuthorityPlan,
        generation: NewGeneration,
        actor: str,
        half_made: int = 0,
    ) -> int:
        now = self.clock()
        authority_id = half_made or storage.insert_authority(
            connection, plan.name, plan.settings.model_dump_json(), now
        )
        generation_id = storage.insert_generation(connection, authority_id, generation, now)
        revisions.advance(connection)
        self.audit.record(
            connection,
            "authority.created",
            actor,
            authority=plan.name,
            key=generation.key,
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
