"""What comes after: renewal with the same key, a new key, cross-certificates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509
from sqlalchemy import Connection

from pikaserver.api.certificates import AuthorityRecord
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyRole
from pikaserver.api.storage import Database
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import is_signed_by, public_key_of
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey
from pikaserver.authority.ca_certificates import CaCertificates, CaContent
from pikaserver.authority.ceremony import AuthorityPlan, Ceremony
from pikaserver.authority.chains import check_path, is_self_signed
from pikaserver.authority.issuance import Draft, Issuance, Together
from pikaserver.authority.preparation import key_reference
from pikaserver.storage import authorities as storage
from pikaserver.storage import revisions
from pikaserver.storage.authorities import NewGeneration


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """Gives authorities new certificates and new keys; old generations are still served."""

    database: Database
    authorities: AuthorityDirectory
    certificates: CaCertificates
    issuance: Issuance
    ceremony: Ceremony
    audit: AuditTrail
    clock: Clock

    def renew(self, name: str, actor: str, validity: timedelta | None = None) -> AuthorityRecord:
        """Give the current key of an authority a new certificate.

        Raises:
            Conflict: its certificate is signed elsewhere; take a CSR there instead.
        """
        key = self.authorities.issuing_key(name)
        content = content_of(key.certificate, validity)
        draft, chain = self._successor(key, content, key.public_key, key.generation.id)
        with self.database.transaction() as connection:
            self.audit.record(connection, "authority.renewed", actor, authority=name)
        self._activate(name, draft, key.generation.id, chain)
        return self.authorities.get(name)

    def rekey(
        self,
        name: str,
        plan: AuthorityPlan,
        actor: str,
        validity: timedelta | None = None,
        *,
        prepare: bool = False,
    ) -> AuthorityRecord:
        """Give an authority a new key: the next generation; subject and rules stay.

        Only key, key type and algorithm of the plan are read.  Where the certificate comes
        from elsewhere, the new key waits with a CSR and the old one goes on until then.  A key
        that is only prepared has its certificate, and is told, before it issues anything.

        Raises:
            Conflict: another key is prepared already.
        """
        old = self.authorities.issuing_key(name, to_be_replaced=True)
        coming = self.authorities.prepared(name)
        if coming is not None:
            return self._finish_preparing(old, coming, plan if prepare else None)
        content = content_of(old.certificate, validity)
        is_root = is_self_signed(old.certificate)
        above = None if is_root else self._find_issuer(old)
        role = KeyRole.ROOT if is_root else KeyRole.AUTHORITY
        spki = self.ceremony.key_for(replace(plan, name=name), role)
        if spki == old.public_key:
            return self._finish_roll_over(name)
        waits = above is None and not is_root
        csr = self.ceremony.csr(replace(plan, content=content), spki, actor) if waits else None
        new = NewGeneration(str(plan.key), plan.algorithm, spki, csr, prepare=prepare)
        half_made = self._half_made(name, spki)
        if half_made:
            with self.database.transaction() as connection:
                storage.intend(connection, half_made, prepare=prepare)
        generation_id = half_made or self._insert(name, new, actor)
        if above is not None:
            draft = self.certificates.subordinate(content, spki, above)
            chain = (above.generation.certificate, *above.generation.chain)
            self._activate(name, draft, generation_id, chain)
        elif is_root:
            draft = self.certificates.root(content, spki, plan.key, plan.algorithm, generation_id)
            self._activate(name, draft, generation_id, ())
            self.roll_over(old, self.authorities.prepared(name) or self.authorities.key(name))
        return self.authorities.get(name)

    def _finish_preparing(
        self, old: IssuingKey, coming: IssuingKey, plan: AuthorityPlan | None
    ) -> AuthorityRecord:
        """Make the cross-certificates that a prepared root lacks.

        Raises:
            Conflict: nothing is to be finished, or another key is wanted.
        """
        name = old.authority
        before = self.authorities.get(name)
        same = plan is not None and str(plan.key) == coming.generation.key
        if same and is_self_signed(coming.certificate):
            self.roll_over(old, coming)
        after = self.authorities.get(name)
        if after == before:
            raise Conflict(
                f"the key {coming.generation.key} of authority {name!r} is prepared already:"
                " 'ca rekey --activate' lets it take over"
            )
        return after

    def _half_made(self, name: str, spki: bytes) -> int | None:
        """Return the generation of a key that waits for its certificate already.

        Raises:
            Conflict: the authority had a certificate over this key once.
        """
        record = self.authorities.get(name)
        with self.database.reading() as connection:
            generation_id = storage.public_keys(connection, record.id).get(spki)
        if any(generation.id == generation_id for generation in record.generations):
            raise Conflict(f"authority {name!r} has used this key before: name another one")
        return generation_id

    def _finish_roll_over(self, name: str) -> AuthorityRecord:
        """Make the cross-certificates of a root that stopped between its new key and them.

        Raises:
            Conflict: there is nothing to finish.
        """
        before, new = self.authorities.get(name), self.authorities.key(name)
        earlier = [one.number for one in before.generations if not (one.current or one.prepared)]
        if earlier and is_self_signed(new.certificate):
            self.roll_over(self.authorities.key(name, max(earlier)), new)
        after = self.authorities.get(name)
        if after == before:
            raise Conflict(f"authority {name!r} signs with this key already: name another one")
        return after

    def _insert(self, name: str, new: NewGeneration, actor: str) -> int:
        record = self.authorities.get(name)
        with self.database.transaction() as connection:
            generation_id = storage.insert_generation(connection, record.id, new, self.clock())
            revisions.advance(connection)
            event = "authority.preparing" if new.prepare else "authority.rekeyed"
            self.audit.record(connection, event, actor, authority=name, key=new.key)
        return generation_id

    def _activate(
        self, name: str, draft: Draft, generation_id: int, chain: tuple[bytes, ...]
    ) -> None:
        def finish(connection: Connection, _id: int, certificate: bytes) -> None:
            storage.activate(connection, generation_id, certificate, chain, self.clock())
            revisions.advance(connection)

        self.issuance.issue(draft, Together(with_certificate=finish))
        self.ceremony.hand_over(name, generation_id)

    def roll_over(self, old: IssuingKey, new: IssuingKey) -> None:
        """Certify each key of a root with the other one (RFC 4210 section 4.4).

        NewWithOld lets those who trust the old root reach what the new one signs; OldWithNew
        the other way round.  Both end with the first of the two roots.
        """
        for subject, issuer in ((new, old), (old, new)):
            others = map(x509.load_der_x509_certificate, subject.generation.others)
            if any(is_signed_by(other, issuer.certificate) for other in others):
                continue  # it was made before something stopped
            content = content_of(old.certificate, None)
            draft = self.certificates.self_issued(content, subject, issuer)
            self._issue_cross(draft, subject, issuer)

    def _issue_cross(self, draft: Draft, subject: IssuingKey, issuer: IssuingKey) -> None:
        chain = b"".join((issuer.generation.certificate, *issuer.generation.chain))

        def finish(connection: Connection, _id: int, cross: bytes) -> None:
            storage.add_certificate(
                connection, subject.generation.id, "cross", cross, chain, self.clock()
            )
            revisions.advance(connection)

        self.issuance.issue(draft, Together(with_certificate=finish))

    def csr(self, name: str, actor: str) -> bytes:
        """Return a CSR (DER) over the current key, for a CA elsewhere."""
        key = self.authorities.key(name)
        reference = key_reference(key)
        kind, algorithm = key_type(key.public_key), key.generation.algorithm
        plan = AuthorityPlan(name, content_of(key.certificate, None), kind, reference, algorithm)
        return self.ceremony.csr(plan, key.public_key, actor)

    def cross_sign(
        self,
        certificate: x509.Certificate,
        issuer: str,
        actor: str,
        validity: timedelta | None = None,
    ) -> bytes:
        """Certify the key and subject of another CA under one of ours; return the DER.

        The cross-certificate of an authority of this server is served among its others.
        """
        if not is_self_signed(certificate):
            check = "only a self-signed CA certificate can be cross-signed: it proves its key"
            raise RequestRejected(check)
        check_path(certificate, (), self.clock())
        above = self.authorities.issuing_key(issuer)
        spki = public_key_of(certificate)
        draft = self.certificates.subordinate(content_of(certificate, validity), spki, above)
        chain = b"".join((above.generation.certificate, *above.generation.chain))
        own = next((key for key in self.authorities.all_keys() if key.public_key == spki), None)

        def finish(connection: Connection, _id: int, cross: bytes) -> None:
            if own is not None:
                storage.add_certificate(
                    connection, own.generation.id, "cross", cross, chain, self.clock()
                )
                revisions.advance(connection)
            self.audit.record(
                connection,
                "authority.cross-signed",
                actor,
                authority=issuer,
                subject=certificate.subject.rfc4514_string(),
            )

        record = self.issuance.issue(draft, Together(with_certificate=finish))
        return record.certificate or b""

    def _successor(
        self, key: IssuingKey, content: CaContent, spki: bytes, generation_id: int
    ) -> tuple[Draft, tuple[bytes, ...]]:
        if is_self_signed(key.certificate):
            algorithm = key.generation.algorithm
            reference = key_reference(key)
            return self.certificates.root(content, spki, reference, algorithm, generation_id), ()
        above = self._issuer(key)
        chain = (above.generation.certificate, *above.generation.chain)
        return self.certificates.subordinate(content, spki, above), chain

    def _issuer(self, key: IssuingKey) -> IssuingKey:
        above = self._find_issuer(key)
        if above is None:
            raise Conflict(
                f"authority {key.authority!r} is signed elsewhere: "
                "use 'ca csr' and 'ca import-signed'"
            )
        return above

    def _find_issuer(self, key: IssuingKey) -> IssuingKey | None:
        # A CA elsewhere may have the same name, so one of its keys has to have signed.
        for above in self.authorities.all_keys():
            if is_signed_by(key.certificate, above.certificate):
                return self.authorities.issuing_key(above.authority)
        return None


def content_of(certificate: x509.Certificate, validity: timedelta | None) -> CaContent:
    """Return what a CA certificate says, so that its successor says the same."""
    extensions = certificate.extensions
    content = CaContent(certificate.subject, validity)
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            content = replace(content, path_length=value.path_length)
        elif isinstance(value, x509.NameConstraints):
            content = replace(
                content,
                permitted_names=_subtrees(value.permitted_subtrees),
                excluded_names=_subtrees(value.excluded_subtrees),
            )
        elif isinstance(value, x509.CertificatePolicies):
            oids = tuple(policy.policy_identifier.dotted_string for policy in value)
            content = replace(content, policies=oids)
        elif isinstance(value, x509.KeyUsage) and value.digital_signature:
            content = replace(content, key_usage=("digitalSignature", *content.key_usage))
    return content


def _subtrees(bases: Sequence[x509.GeneralName] | None) -> tuple[str, ...]:
    return tuple(general_name_text(base) for base in bases or ())
