"""Drafts of CA certificates: self-signed, subordinate and cross."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import Lint
from pikaserver.api.operations import Clock
from pikaserver.api.signing import KeyReference
from pikaserver.api.templates import ExtensionRules, UsageRules
from pikaserver.asn1.certificate import tbs
from pikaserver.authority.authorities import IssuingKey
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.draft import (
    Content,
    Extensions,
    certificate_builder,
    pointer_extensions,
    usage_extensions,
)
from pikaserver.authority.issuance import Draft
from pikaserver.authority.naming.constraints import check_name_constraints
from pikaserver.authority.preparation import check_draft, key_reference
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.storage.certificates import NewCertificate

ROOT_VALIDITY = timedelta(days=20 * 365)
SUBORDINATE_VALIDITY = timedelta(days=10 * 365)
DOOR = "ceremony"


@dataclass(frozen=True, slots=True)
class CaContent:
    """What a CA certificate shall say; name constraints are written ``dns:example.com``."""

    subject: x509.Name
    validity: timedelta | None = None
    path_length: int | None = None
    permitted_names: tuple[str, ...] = ()
    excluded_names: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    key_usage: tuple[str, ...] = ("keyCertSign", "cRLSign")

    @property
    def usage(self) -> UsageRules:
        """The same as a template would say it."""
        return UsageRules(
            key_usage=self.key_usage,
            extended_key_usage=(),
            extended_key_usage_critical=False,
            ca=True,
            path_length=self.path_length,
            permitted_names=self.permitted_names,
            excluded_names=self.excluded_names,
        )


class CaCertificates:
    """Prepares CA certificates for `Issuance`; they pass the same lints as all others."""

    def __init__(
        self,
        urls: AuthorityUrls,
        lints: Sequence[Lint],
        next_serial: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._urls = urls
        self._lints = lints
        self._next_serial = next_serial
        self._clock = clock

    def root(
        self,
        content: CaContent,
        public_key: bytes,
        key: KeyReference,
        algorithm: str,
        generation_id: int,
    ) -> Draft:
        """Return the draft of a self-signed certificate."""
        not_before = self._clock().replace(microsecond=0)
        not_after = not_before + (content.validity or ROOT_VALIDITY) - timedelta(seconds=1)
        filled = Content(content.subject, (), public_key, not_before, not_after)
        extensions = usage_extensions(content.usage, public_key)
        # A root holds for every policy; naming some would bind what stands below it.
        return self._draft(filled, extensions, None, (key, algorithm, public_key, generation_id))

    def subordinate(self, content: CaContent, public_key: bytes, issuer: IssuingKey) -> Draft:
        """Return the draft of a CA certificate below an authority of this server.

        Raises:
            RequestRejected: the issuer's path length, name constraints or end forbid it.
        """
        content = self._within(content, issuer)
        not_before, not_after = self._validity(content, issuer)
        filled = Content(content.subject, (), public_key, not_before, not_after)
        check_name_constraints(
            (), content.subject, (issuer.certificate, *issuer.chain), DecisionTrace()
        )
        extensions = [
            *usage_extensions(content.usage, public_key),
            *pointer_extensions(
                _pointers(content.policies), self._urls.of(issuer), issuer.settings.cps_url
            ),
        ]
        generation = issuer.generation
        signing = (
            key_reference(issuer),
            generation.algorithm,
            issuer.public_key,
            generation.id,
        )
        return self._draft(filled, extensions, issuer, signing)

    def self_issued(self, content: CaContent, subject: IssuingKey, issuer: IssuingKey) -> Draft:
        """Return the draft of OldWithNew or NewWithOld (RFC 4210 section 4.4).

        Self-issued certificates do not count in a path length (RFC 5280 section 6.1.4).
        """
        not_before = self._clock().replace(microsecond=0)
        # It ends with the first of the two: nothing outlives its issuer.
        not_after = min(one.certificate.not_valid_after_utc for one in (subject, issuer))
        filled = Content(content.subject, (), subject.public_key, not_before, not_after)
        extensions = usage_extensions(content.usage, subject.public_key)
        signing = (
            key_reference(issuer),
            issuer.generation.algorithm,
            issuer.public_key,
            issuer.generation.id,
        )
        return self._draft(filled, extensions, issuer, signing)

    def wish(
        self, content: CaContent, public_key: bytes
    ) -> list[x509.Extension[x509.ExtensionType]]:
        """Return the extensions that the CSR of an authority asks for."""
        return [
            x509.Extension(value.oid, critical, value)
            for value, critical in usage_extensions(content.usage, public_key)
        ]

    def _draft(
        self,
        content: Content,
        extensions: Extensions,
        issuer: IssuingKey | None,
        signing: tuple[KeyReference, str, bytes, int],
    ) -> Draft:
        key, algorithm, public_key, generation_id = signing
        serial = self._next_serial()
        octets = tbs(certificate_builder(content, serial, issuer, extensions), algorithm)
        above = issuer.certificate if issuer else None
        check_draft(octets, algorithm, above, self._lints, DecisionTrace())
        new = NewCertificate(
            generation_id=generation_id,
            serial=serial,
            tbs=octets,
            key_hash=hashlib.sha256(content.public_key).hexdigest(),
            subject=content.subject.rfc4514_string(),
            names=(),
            not_before=content.not_before,
            not_after=content.not_after,
            template_id=None,
            template_version=0,
            door=DOOR,
            requester="operator",
            transaction=None,
            renews_id=None,
            issued_at=self._clock(),
        )
        return Draft(key, algorithm, public_key, new, can_wait=True)

    def _validity(self, content: CaContent, issuer: IssuingKey) -> tuple[datetime, datetime]:
        not_before = self._clock().replace(microsecond=0)
        ceiling = issuer.certificate.not_valid_after_utc
        wanted = not_before + (content.validity or SUBORDINATE_VALIDITY) - timedelta(seconds=1)
        if wanted > ceiling and content.validity is not None:
            raise RequestRejected(
                f"authority {issuer.authority!r} itself ends at {ceiling:%Y-%m-%d %H:%M} UTC"
            )
        return not_before, min(wanted, ceiling)

    def _within(self, content: CaContent, issuer: IssuingKey) -> CaContent:
        constraints = issuer.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        above = constraints.value.path_length
        if above is None:
            return content
        if above == 0:
            raise RequestRejected(f"authority {issuer.authority!r} may have no CA below it")
        if content.path_length is None:
            return replace(content, path_length=above - 1)
        if content.path_length >= above:
            raise RequestRejected(
                f"the path length must be below {above}, which authority "
                f"{issuer.authority!r} has itself"
            )
        return content


def _pointers(policies: tuple[str, ...]) -> ExtensionRules:
    return ExtensionRules(
        issuer_url=True,
        ocsp_url=True,
        crl_url=True,
        custom_issuer_urls=(),
        custom_ocsp_urls=(),
        custom_crl_urls=(),
        policies=policies,
        cps_url=None,
        must_staple=False,
        ocsp_no_check=False,
    )
