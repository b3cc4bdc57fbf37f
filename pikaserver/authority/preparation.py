"""From a request to a draft: names, key, validity, extensions, lints; nothing is stored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from pikaserver.api.issuance import EnrollmentRequest, ExtensionProvider, Lint, Severity
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyReference
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.certificate import tbs, with_dummy_signature
from pikaserver.asn1.names import general_name_text
from pikaserver.asn1.related_certificates import (
    RELATED_CERTIFICATE,
    fingerprint_of,
    read_related_extension,
    related_extension,
)
from pikaserver.authority.admission import lifetime
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.contacts import contact_of
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.draft import (
    Content,
    Extensions,
    certificate_builder,
    pointer_extensions,
    usage_extensions,
)
from pikaserver.authority.issuance import Draft
from pikaserver.authority.key_policy.policy import KeyPolicy
from pikaserver.authority.linting import lint
from pikaserver.authority.naming.constraints import check_name_constraints
from pikaserver.authority.naming.names import subject_names
from pikaserver.authority.naming.subjects import subject
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.storage.certificates import NewCertificate


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """A template with the id under which the database knows it."""

    id: int
    template: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Makes drafts; the same for an issuance, a waiting request and a dry run."""

    urls: AuthorityUrls
    keys: KeyPolicy
    lints: Sequence[Lint]
    providers: Sequence[ExtensionProvider]
    next_serial: Callable[[], int]
    clock: Clock

    def prepare(
        self,
        request: EnrollmentRequest,
        version: TemplateVersion,
        issuer: IssuingKey,
        trace: DecisionTrace,
        first: bytes | None = None,
    ) -> Draft:
        """Return what would be signed by this issuer.

        As the second of a pair it is bound to ``first`` (DER).  Only `PairWishes` says so.

        Raises:
            RequestRejected: a rule refused it; the trace tells which.
        """
        template = version.template
        content = self._content(request, template, issuer, trace)
        serial = self.next_serial()
        shard = self._shard(template, issuer, serial)
        extensions = usage_extensions(template.usage, content.public_key)
        extensions += self._pointers(template, issuer, shard)
        extensions += self._provided(request, template, first)
        algorithm = signature_algorithm(issuer, template.signature_hash)
        octets = tbs(certificate_builder(content, serial, issuer, extensions), algorithm)
        check_draft(octets, algorithm, issuer.certificate, self.lints, trace)
        new = NewCertificate(
            generation_id=issuer.generation.id,
            serial=serial,
            tbs=octets,
            key_hash=hashlib.sha256(content.public_key).hexdigest(),
            subject=content.subject.rfc4514_string(),
            names=tuple(general_name_text(name) for name in content.names),
            not_before=content.not_before,
            not_after=content.not_after,
            template_id=version.id,
            template_version=template.version,
            door=request.door,
            requester=request.requester.name,
            transaction=request.transaction,
            renews_id=request.renews.id if request.renews else None,
            issued_at=self.clock(),
            crl_shard=shard,
            device=contact_of(request, template, content.subject, content.names),
            related=_related(extensions),
        )
        return Draft(key_reference(issuer), algorithm, issuer.public_key, new, _chain(issuer))

    def _pointers(self, template: Template, issuer: IssuingKey, shard: int | None) -> Extensions:
        pointers = self.urls.of(issuer, shard)
        return pointer_extensions(template.extensions, pointers, issuer.settings.cps_url)

    def _shard(self, template: Template, issuer: IssuingKey, serial: int) -> int | None:
        """Return the part of the CRL that a certificate points to for its whole life, if any."""
        rules, shards = template.extensions, issuer.settings.crl_shards
        if not shards or not rules.crl_url or rules.custom_crl_urls:
            return None
        shard = serial % shards + 1  # serials are random, so the parts are of one size
        return shard if self.urls.of(issuer, shard).crl else None

    def _content(
        self,
        request: EnrollmentRequest,
        template: Template,
        issuer: IssuingKey,
        trace: DecisionTrace,
    ) -> Content:
        csr = request.csr
        self.keys.check_key(csr.public_key, template.key_types, trace)
        names = subject_names(template, csr, trace)
        name = subject(template, csr, names, trace)
        check_name_constraints(names, name, (issuer.certificate, *issuer.chain), trace)
        not_before, not_after = self._validity(request, template, issuer, trace)
        return Content(name, names, csr.public_key, not_before, not_after)

    def _validity(
        self,
        request: EnrollmentRequest,
        template: Template,
        issuer: IssuingKey,
        trace: DecisionTrace,
    ) -> tuple[datetime, datetime]:
        now = self.clock().replace(microsecond=0)
        period = lifetime(request.validity, template, trace)
        ceiling = issuer.certificate.not_valid_after_utc
        if ceiling <= now:
            trace.refuse("validity", template.authority, "the authority has expired")
        # Both ends belong to the validity (RFC 5280 section 4.1.2.5): one second less.
        not_after = now + period - timedelta(seconds=1)
        if not_after > ceiling and request.validity is not None:
            why = f"the authority itself ends at {ceiling:%Y-%m-%d %H:%M} UTC"
            trace.refuse("validity", str(period), why)
        if not_after > ceiling:
            trace.allow("validity", str(period), "shortened to the end of its authority")
            not_after = ceiling
        not_before = max(now - template.validity.backdate, issuer.certificate.not_valid_before_utc)
        return not_before, not_after

    def _provided(
        self, request: EnrollmentRequest, template: Template, first: bytes | None
    ) -> Extensions:
        provided = [
            (extension.value, extension.critical)
            for provider in self.providers
            for extension in provider.extensions(request, template)
        ]
        return provided if first is None else [*provided, (related_extension(first), False)]


def _related(extensions: Extensions) -> str | None:
    """Return the fingerprint of the certificate to which the new one is bound, if it is."""
    for value, _ in extensions:
        if isinstance(value, x509.UnrecognizedExtension) and value.oid == RELATED_CERTIFICATE:
            return fingerprint_of(read_related_extension(value.value))
    return None


def _chain(issuer: IssuingKey) -> tuple[bytes, ...]:
    return issuer.generation.certificate, *issuer.generation.chain


def signature_algorithm(issuer: IssuingKey, hash_name: str | None) -> str:
    """Return how the issuer signs, with the template's hash where both have a choice."""
    own = issuer.generation.algorithm
    if hash_name is None or "-sha" not in own:
        return own
    return default_algorithm(key_type(issuer.public_key), hash_name, pss="-pss-" in own)


def key_reference(issuer: IssuingKey) -> KeyReference:
    """Return where the issuer's key lives."""
    return KeyReference.parse(issuer.generation.key or "")


def check_draft(
    octets: bytes,
    algorithm: str,
    issuer: x509.Certificate | None,
    lints: Sequence[Lint],
    trace: DecisionTrace,
) -> None:
    """Lint exactly the octets that will be signed.

    Raises:
        RequestRejected: a lint found an error.
    """
    draft = with_dummy_signature(octets, algorithm)
    for finding in lint(draft, issuer, lints):
        if finding.severity is Severity.ERROR:
            trace.refuse("lint", finding.citation, finding.text)
        trace.allow("lint", finding.citation, finding.text)
    trace.allow("lint", f"{len(lints)} rules", "no error")
