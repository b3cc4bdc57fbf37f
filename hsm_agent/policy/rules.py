# ruff: noqa: RUF009 - rule, part and table make fields of frozen rules
"""The rules of one key; each field is a key of the policy file, with what counts without it."""

from dataclasses import dataclass
from datetime import timedelta, tzinfo

from hsm_agent.policy import values
from hsm_agent.policy.name_constraints import Subtree, read_subtree
from hsm_agent.policy.rule_groups import Contents, Gate, Lifetime, Names, Rates, oids, oids_of
from hsm_agent.policy.subject_patterns import ANY_SUBJECT, SubjectPattern
from hsm_agent.policy.tables import part, rule, table
from hsm_agent.policy.values import Span
from hsm_agent.policy.verdicts import Approval
from hsm_agent.structures.algorithms import DIGEST_OCTETS
from hsm_agent.structures.kinds import SELF_SIGNED


@dataclass(frozen=True, slots=True)
class CertRules:
    """``[... .cert]``."""

    lifetime: Lifetime = part(Lifetime())
    not_after_issuer: bool = rule(values.yes_or_no, True)  # noqa: FBT003 - a default
    contents: Contents = part(Contents())
    names: Names = part(Names())
    gate: Gate = part(Gate())


@dataclass(frozen=True, slots=True)
class Authority:
    """What holds for all CA certificates; ``max_path_length`` ``None`` is no limit."""

    lifetime: Lifetime = part(Lifetime(timedelta(days=3653), timedelta(days=30)))
    contents: Contents = part(
        Contents(
            key_usage=("keyCertSign", "cRLSign", "digitalSignature"),
            extended_key_usage=(values.ANY,),
            extensions=oids_of(
                "subjectKeyIdentifier",
                "keyUsage",
                "basicConstraints",
                "nameConstraints",
                "cRLDistributionPoints",
                "certificatePolicies",
                "authorityKeyIdentifier",
                "extKeyUsage",
                "freshestCRL",
                "policyConstraints",
                "inhibitAnyPolicy",
                "authorityInfoAccess",
                "subjectInfoAccess",
            ),
            critical_extensions=oids_of(
                "keyUsage",
                "basicConstraints",
                "nameConstraints",
                "certificatePolicies",
                "extKeyUsage",
                "policyConstraints",
                "inhibitAnyPolicy",
            ),
        )
    )
    max_path_length: int | None = rule(values.count, None)
    name_constraints: tuple[Subtree, ...] = rule(values.list_of(read_subtree), ())
    gate: Gate = part(Gate(values.AT_THE_HOST))


@dataclass(frozen=True, slots=True)
class CaCertRules:
    """``[... .ca-cert]``."""

    authority: Authority = part(Authority())
    not_after_issuer: bool = rule(values.yes_or_no, True)  # noqa: FBT003 - a default

    @property
    def gate(self) -> Gate:
        """See `Gate`."""
        return self.authority.gate


@dataclass(frozen=True, slots=True)
class SelfSignedRules:
    """``[... .self-signed]``: the first one of a key gives nobody anything."""

    authority: Authority = part(Authority(Lifetime(timedelta(days=7305), timedelta(days=30))))
    first_needs_approval: bool = rule(values.yes_or_no, False)  # noqa: FBT003 - a default

    @property
    def gate(self) -> Gate:
        """See `Gate`."""
        return self.authority.gate


@dataclass(frozen=True, slots=True)
class CrlRules:
    """``[... .crl]``."""

    max_next_update: timedelta = rule(values.duration, timedelta(days=10))
    never_drop: bool = rule(values.yes_or_no, True)  # noqa: FBT003 - a default
    partitions: bool = rule(values.yes_or_no, False)  # noqa: FBT003 - a default
    deltas: bool = rule(values.yes_or_no, False)  # noqa: FBT003 - a default
    gate: Gate = part(Gate())


@dataclass(frozen=True, slots=True)
class OcspRules:
    """``[... .ocsp]``."""

    max_validity: timedelta = rule(values.duration, timedelta(days=7))
    gate: Gate = part(Gate())


@dataclass(frozen=True, slots=True)
class CsrRules:
    """``[... .csr]``."""

    subjects: tuple[SubjectPattern, ...] = rule(values.subjects, (ANY_SUBJECT,))
    gate: Gate = part(Gate(values.AT_THE_HOST))


SCEP = "scep"
CONTENT_TYPES = {
    "data": "1.2.840.113549.1.7.1",
    "signedData": "1.2.840.113549.1.7.2",
    "envelopedData": "1.2.840.113549.1.7.3",
    "authEnvelopedData": "1.2.840.113549.1.9.16.1.23",
    "authenticode": "1.3.6.1.4.1.311.2.1.4",
}


def _content_type(word: str) -> str:
    return word if word == SCEP else values.oid_of(CONTENT_TYPES, "a content type")(word)


@dataclass(frozen=True, slots=True)
class CmsRules:
    """``[... .cms-attrs]``; ``scep`` is an answer of SCEP (RFC 8894) and no other data."""

    content_types: tuple[str, ...] = rule(values.list_of(_content_type), (SCEP,))
    gate: Gate = part(Gate())


@dataclass(frozen=True, slots=True)
class TstRules:
    """``[... .tst]``; ``policies`` are dotted OIDs."""

    tolerance: timedelta = rule(values.duration, timedelta(minutes=1))
    policies: tuple[str, ...] = rule(oids, ())
    imprints: tuple[str, ...] = rule(
        values.list_of(values.one_of(tuple(DIGEST_OCTETS), "a hash")),
        tuple(name for name in DIGEST_OCTETS if name != "sha1"),
    )
    gate: Gate = part(Gate())


@dataclass(frozen=True, slots=True)
class ProofRules:
    """``[... .proof]``."""

    gate: Gate = part(Gate(rates=Rates(per_minute=10)))


@dataclass(frozen=True, slots=True)
class RawRules:
    """``[... .raw]``."""

    gate: Gate = part(Gate())


KindRules = (
    CertRules
    | CaCertRules
    | SelfSignedRules
    | CrlRules
    | OcspRules
    | CsrRules
    | CmsRules
    | TstRules
    | ProofRules
    | RawRules
)


@dataclass(frozen=True, slots=True)
class KeyRules:
    """Everything that one key may do.

    ``name`` says where it is written: ``profiles.issuing``; ``algorithms`` are those allowed,
    none named: all that fit the key; ``window`` is how many requests may wait at once;
    ``certificate`` is a file beside the policy with the key's own certificate, or empty.
    """

    name: str = ""
    kinds: tuple[str, ...] = rule(values.list_of(values.kind), ())
    algorithms: tuple[str, ...] = rule(values.list_of(values.algorithm), ())
    window: int = rule(values.at_least_one, 64)
    quiet_hours: tuple[Span, ...] = rule(values.list_of(values.span), ())
    time_zone: tzinfo = rule(values.time_zone, values.UTC_ZONE)
    certificate: str = ""
    rates: Rates = part(Rates())
    cert: CertRules = table(CertRules())
    ca_cert: CaCertRules = table(CaCertRules())
    self_signed: SelfSignedRules = table(SelfSignedRules())
    crl: CrlRules = table(CrlRules())
    ocsp: OcspRules = table(OcspRules())
    csr: CsrRules = table(CsrRules())
    cms_attrs: CmsRules = table(CmsRules())
    tst: TstRules = table(TstRules())
    proof: ProofRules = table(ProofRules())
    raw: RawRules = table(RawRules())

    def of(self, kind: str) -> KindRules:
        """Return the rules of one kind, whether it is allowed or not."""
        found: KindRules = getattr(self, kind.replace("-", "_"))
        return found

    def approval(self, kind: str) -> Approval | None:
        """Return who has to agree to structures of this kind, ``None`` for nobody."""
        return self.of(kind).gate.approval

    def succession(self) -> Approval | None:
        """Return who has to agree when a root certifies the key that comes after it, or before.

        Such a certificate bears the root's own name (RFC 4210 section 4.4) and is judged like
        one for itself.  ``None``: it is judged like any other CA certificate, because this key
        signs none for itself, or because nobody would be asked.
        """
        if SELF_SIGNED not in self.kinds:
            return None
        asked = (self.ca_cert.gate.approval, self.self_signed.gate.approval)
        return max(filter(None, asked), key=lambda approval: approval.need, default=None)
