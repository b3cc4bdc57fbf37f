"""The Template: who may get what, how, and who approves; versioned, never edited in place."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class SubjectRules:
    """Which attributes the subject gets, by their short names (``CN``, ``O``, ``serialNumber``).

    ``fixed`` attributes come from here whatever was asked; of the request only those in
    ``from_request`` are read; ``required`` ones must be there in the end.
    """

    from_request: tuple[str, ...]
    fixed: tuple[tuple[str, str], ...]
    required: tuple[str, ...]
    common_name: str
    """``free``, ``must-be-name`` (the CN is one of the names), ``becomes-name`` (a requested
    CN is asked for as a name, too) or ``copy-first-name``."""


@dataclass(frozen=True, slots=True)
class NameRules:
    """Allow and deny rules of one kind of subject alternative name; deny wins.

    ``wildcards`` and ``single_labels`` (names without a dot) concern DNS names.
    """

    kind: str
    """``dns``, ``ip``, ``email``, ``uri`` or ``upn``."""
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    wildcards: bool
    single_labels: bool


@dataclass(frozen=True, slots=True)
class UsageRules:
    """What the key may be used for; extended usages are dotted OIDs."""

    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    extended_key_usage_critical: bool
    ca: bool
    path_length: int | None
    permitted_names: tuple[str, ...]
    excluded_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ValidityRules:
    """How long a certificate lives; ``maximum`` bounds what an approver may override."""

    period: timedelta
    maximum: timedelta
    overridable: bool
    backdate: timedelta


@dataclass(frozen=True, slots=True)
class ExtensionRules:
    """Which pointers and policies go in; empty URL tuples mean those of the authority."""

    issuer_url: bool
    ocsp_url: bool
    crl_url: bool
    custom_issuer_urls: tuple[str, ...]
    custom_ocsp_urls: tuple[str, ...]
    custom_crl_urls: tuple[str, ...]
    policies: tuple[str, ...]
    cps_url: str | None
    must_staple: bool
    ocsp_no_check: bool


@dataclass(frozen=True, slots=True)
class RenewalRules:
    """Renewal by the certificate itself; ``window`` counts back from its end."""

    allowed: bool
    window: timedelta | None
    copy_names: bool
    revoke_old: bool


@dataclass(frozen=True, slots=True)
class EstRules:
    """What EST offers beyond enrolling and renewing.

    ``possession_linking`` is ``off``, ``if-sent`` or ``required``: whether the request carries
    what ties it to its TLS session (RFC 7030 section 3.5, RFC 9266).
    """

    server_keys: bool = False
    full_cmc: bool = True
    possession_linking: str = "off"
    self_revocation: bool = True


@dataclass(frozen=True, slots=True)
class ScepRules:
    """What devices may do at the door ``scep`` (RFC 8894), beside the template's other rules."""

    enabled: bool = False
    """Whether the door opens for this template at all."""
    compatibility: frozenset[str] = frozenset()
    """Weak algorithms that old devices may use: ``3des``, ``des``, ``sha1``, ``md5``."""
    include_root: bool = True
    """Whether GetCACert tells the root, too."""


@dataclass(frozen=True, slots=True)
class KemRules:
    """How possession of a key that cannot sign (ML-KEM) may be proved.

    ``names`` is ``same`` or ``any``: whether a statement speaks of its own signer only.
    """

    statement: bool = True
    challenge: bool = True
    names: str = "same"


@dataclass(frozen=True, slots=True)
class RelatedRules:
    """Whether certificates are bound to another one of the same holder (RFC 9763).

    ``mode`` is ``refused``, ``allowed`` or ``required``; ``fresh`` is how old the request for
    it may be; the other one has to come from one of ``templates``, if any are named.
    ``alternates`` lets whoever fetches such a certificate have the other one as well.  ``pair``
    is the template of the second certificate, where one request may bring both.
    """

    mode: str = "refused"
    fresh: timedelta = timedelta(hours=1)
    templates: frozenset[str] = frozenset()
    alternates: bool = False
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """The checked rules of one version of a template."""

    name: str
    version: int
    description: str
    enabled: bool
    authority: str
    doors: frozenset[str]
    proofs: frozenset[str]
    """Methods by which a requester may prove the right to ask: ``code``, ``certificate`` ..."""
    client_authorities: frozenset[str]
    """Authorities whose certificates count as the proof ``certificate``."""
    approval: bool
    subject: SubjectRules
    names: tuple[NameRules, ...]
    names_required: bool
    names_limit: int
    key_types: frozenset[str]
    signature_hash: str | None
    usage: UsageRules
    validity: ValidityRules
    extensions: ExtensionRules
    renewal: RenewalRules
    registrars: frozenset[str] = frozenset()
    """Templates whose certificates, made for RAs (cmcRA), may ask on behalf of others."""
    devices: bool = True
    """Whether a record is kept of each holder."""
    est: EstRules = EstRules()
    scep: ScepRules = ScepRules()
    kem: KemRules = KemRules()
    related: RelatedRules = RelatedRules()
