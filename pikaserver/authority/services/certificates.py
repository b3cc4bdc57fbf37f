"""Finds and makes the certificates of services, by the rules of a template."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import Conflict, NotFound, PikaserverError
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.operations import Entropy
from pikaserver.api.services import ServiceUse
from pikaserver.api.signing import KeyDescription, KeyReference, KeyRemover, KeyRole
from pikaserver.api.templates import SubjectRules
from pikaserver.asn1.algorithms import KEY_TYPES, default_algorithm
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.authority.authorities import AuthorityDirectory, IssuingKey, ServiceSettings
from pikaserver.authority.enroll import Enrollment
from pikaserver.authority.naming.attributes import short_name
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.preparation import TemplateVersion
from pikaserver.authority.services.limits import refuse_authority_key
from pikaserver.authority.signers import SignerRegistry
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.signing.sign import sign_tbs
from pikaserver.storage.certificates import CertificateStore

_WIDELY_KNOWN = ("ec-p256", "rsa-3072")

PREFIX = "server."
"""Keys of services begin so, in every store; an authority's name has no dot."""


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate of a service with the key below it."""

    record: CertificateRecord
    key: KeyReference
    public_key: bytes
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCertificates:
    """One road for all services; what they say is the business of template and settings."""

    enrollment: Enrollment
    templates: TemplateDirectory
    authorities: AuthorityDirectory
    certificates: CertificateStore
    signers: SignerRegistry
    entropy: Entropy

    def again(self, made: Made) -> Made:
        """Return the same with the certificate's present status."""
        return replace(made, record=self.certificates.get(made.record.id))

    def newest(self, use: ServiceUse, issuer: IssuingKey) -> Made | None:
        """Return what was made last for a use and is valid, if anything."""
        return next(iter(self.valid(use, issuer)), None)

    def valid(self, use: ServiceUse, issuer: IssuingKey) -> list[Made]:
        """Return all that was made for a use and is valid, newest first."""
        found = [
            Made(record, key.reference, key.public_key, _algorithm(use, issuer, key.key_type))
            for key in self._keys(use, issuer)
            for record in self._records(key, CertificateStatus.VALID)
            if record.requester == _requester(use)
            and record.authority == issuer.authority
            and record.generation == issuer.generation.number
        ]
        return sorted(found, key=lambda made: -made.record.id)

    def make(self, use: ServiceUse, issuer: IssuingKey) -> Made:
        """Make a key, unless the settings name one, and have it certified.

        Raises:
            Conflict: the issuer is revoked, its key is elsewhere, or the template wants an
                approval.
            PikaserverError: whatever keeps a certificate from being issued.
        """
        if issuer.revoked or issuer.generation.key is None:
            raise Conflict(f"authority {issuer.authority!r} is revoked, or its key is elsewhere")
        settings = _settings(use, issuer)
        version = self._version(use, issuer, settings)
        reference, own = self._place(use, issuer, settings)
        kind = settings.key_type or _usual_key_type(version, issuer)
        there = self.signers.find(reference)
        if there is None:
            public_key = self.signers.generate(KeyRole.SERVICE, reference, kind)
        else:
            kind, public_key = there.key_type, there.public_key
            refuse_authority_key(reference, public_key, self.authorities.all_keys())
        try:
            algorithm = _algorithm(use, issuer, kind)
            record = self._enroll(use, issuer, version, reference, algorithm, public_key)
        except PikaserverError:
            if own and there is None:
                self._remove(reference)
            raise
        self._hand_over(reference, record, issuer)
        self._remove_expired(use, issuer)
        return Made(record, reference, public_key, algorithm)

    def _hand_over(
        self, reference: KeyReference, record: CertificateRecord, issuer: IssuingKey
    ) -> None:
        """Give a new certificate to who keeps the key, and signs nothing without one."""
        if record.certificate is not None:
            above = issuer.generation.certificate, *issuer.generation.chain
            self.signers.keep_certificate(reference, (record.certificate, *above))

    def _enroll(
        self,
        use: ServiceUse,
        issuer: IssuingKey,
        version: TemplateVersion,
        reference: KeyReference,
        algorithm: str,
        public_key: bytes,
    ) -> CertificateRecord:
        settings = _settings(use, issuer)
        info = request_info(_subject(use, issuer, settings), public_key, [])
        signature = sign_tbs(self.signers.open(reference, algorithm), info, public_key)
        seconds = settings.validity_seconds
        request = EnrollmentRequest(
            csr=read_csr(assemble_csr(info, algorithm, signature)),
            requester=Requester(_requester(use), "operator"),
            template=version.template.name,
            door=use.service,
            validity=timedelta(seconds=seconds) if seconds else None,
        )
        return self.enrollment.enroll_service(request, version, issuer).record

    def _version(
        self, use: ServiceUse, issuer: IssuingKey, settings: ServiceSettings
    ) -> TemplateVersion:
        """Return the rules, as if they had been written for this authority."""
        found = self.templates.version(settings.template or use.service)
        if found.template.approval:
            raise Conflict(
                f"template {found.template.name!r} wants an approval, so a service waits for it"
            )
        subject = _with_subject(found.template.subject, settings)
        template = replace(found.template, authority=issuer.authority, subject=subject)
        if use.key_usage:
            kept = tuple(word for word in template.usage.key_usage if word in use.key_usage)
            template = replace(template, usage=replace(template.usage, key_usage=kept))
        return replace(found, template=template)

    def _place(
        self, use: ServiceUse, issuer: IssuingKey, settings: ServiceSettings
    ) -> tuple[KeyReference, bool]:
        """Return where the next key lives, and whether it is one of a kind."""
        if settings.key is not None:
            return KeyReference.parse(settings.key), False
        return KeyReference("software", _prefix(use, issuer) + self.entropy(6).hex()), True

    def _keys(self, use: ServiceUse, issuer: IssuingKey) -> Iterator[KeyDescription]:
        settings = _settings(use, issuer)
        if settings.key is not None:
            key = self.signers.find(KeyReference.parse(settings.key))
            if key is not None:
                yield key
            return
        for key in self.signers.backend(KeyReference("software", PREFIX)).keys():
            if key.reference.name.startswith(_prefix(use, issuer)):
                yield key

    def _records(
        self, key: KeyDescription, status: CertificateStatus | None
    ) -> Sequence[CertificateRecord]:
        digest = hashlib.sha256(key.public_key).hexdigest()
        return self.certificates.find(CertificateQuery(key_hash=digest, status=status))

    def _remove_expired(self, use: ServiceUse, issuer: IssuingKey) -> None:
        if _settings(use, issuer).key is not None:
            return
        for key in list(self._keys(use, issuer)):
            records = self._records(key, None)
            if records and all(one.status is CertificateStatus.EXPIRED for one in records):
                self._remove(key.reference)

    def _remove(self, reference: KeyReference) -> None:
        backend = self.signers.backend(reference)
        if isinstance(backend, KeyRemover):
            try:
                backend.remove_key(reference)
            except NotFound:
                return  # another node was first


def _settings(use: ServiceUse, issuer: IssuingKey) -> ServiceSettings:
    services = issuer.settings.services
    named = services.get(f"{use.service}.{use.unit}") if use.unit else None
    return named or services.get(use.service) or ServiceSettings()


def _requester(use: ServiceUse) -> str:
    return f"server:{use.service}" + (f".{use.unit}" if use.unit else "")


def _prefix(use: ServiceUse, issuer: IssuingKey) -> str:
    unit = f".{use.unit}" if use.unit else ""
    return f"{PREFIX}{use.service}{unit}-{issuer.authority}.g{issuer.generation.number}-"


def _usual_key_type(version: TemplateVersion, issuer: IssuingKey) -> str:
    """Return the issuer's own type where the template takes it, so that clients can verify both."""
    allowed = version.template.key_types
    own = issuer.key_type
    if own in allowed:
        return own
    return next((kind for kind in (*_WIDELY_KNOWN, *KEY_TYPES) if kind in allowed), own)


def _algorithm(use: ServiceUse, issuer: IssuingKey, key_type: str) -> str:
    settings = _settings(use, issuer)
    return default_algorithm(key_type, settings.hash, pss=settings.pss)


def _with_subject(rules: SubjectRules, settings: ServiceSettings) -> SubjectRules:
    """Let the operator's own words go before what the template takes from strangers."""
    if settings.subject is None:
        return rules
    named = tuple(short_name(one.oid) for one in read_subject(settings.subject))
    fixed = tuple(pair for pair in rules.fixed if pair[0] not in named)
    return replace(rules, from_request=named, fixed=fixed, common_name="free")


def _subject(use: ServiceUse, issuer: IssuingKey, settings: ServiceSettings) -> x509.Name:
    if settings.subject is not None:
        return read_subject(settings.subject)
    above = list(issuer.certificate.subject)
    name = next((str(one.value) for one in above if one.oid == NameOID.COMMON_NAME), use.authority)
    words = [name, use.title, *([use.unit] if use.unit else [])]
    common_name = " ".join(words)[-64:].strip()  # ub-common-name, RFC 5280 appendix A.1
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
