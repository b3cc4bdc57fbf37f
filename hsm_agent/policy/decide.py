"""One decision: may this key sign this structure now?"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from hsm_agent.policy import certificate_checks, message_checks, status_checks
from hsm_agent.policy.facts import facts_of, kind_of
from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.memory import Memory
from hsm_agent.policy.question import Question
from hsm_agent.policy.rule_groups import Rates
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.verdicts import (
    Allowed,
    Approval,
    Asked,
    Denied,
    NeedsApproval,
    Verdict,
)
from hsm_agent.structures.algorithms import fits, key_type
from hsm_agent.structures.certificate import TbsCertificate
from hsm_agent.structures.classify import Structure
from hsm_agent.structures.crl import TbsCertList
from hsm_agent.structures.der import Malformed
from hsm_agent.structures.kinds import (
    CA_CERT,
    CERT,
    CMS_ATTRS,
    CRL,
    CSR,
    OCSP,
    SELF_SIGNED,
    TST,
)

_CHECKS: Mapping[str, Callable[..., bool]] = {
    CERT: certificate_checks.check_cert,
    CA_CERT: certificate_checks.check_ca_cert,
    SELF_SIGNED: certificate_checks.check_self_signed,
    CRL: status_checks.check_crl,
    OCSP: status_checks.check_ocsp,
    CSR: message_checks.check_csr,
    CMS_ATTRS: message_checks.check_cms_attrs,
    TST: message_checks.check_tst,
}
"""What looks into a structure; nothing is known of proofs and raw octets."""
_QUIET = (CERT, CA_CERT, SELF_SIGNED)
"""What rests in quiet hours; CRLs and OCSP answers go on."""
_SPANS = (
    ("per_minute", timedelta(minutes=1)),
    ("per_hour", timedelta(hours=1)),
    ("per_day", timedelta(days=1)),
)


def decide(rules: KeyRules, structure: Structure, asked: Asked, memory: Memory) -> Verdict:
    """Return whether the structure may be signed; nothing is remembered here.

    Of `Denied` the codes are ``kind``, ``policy`` and, above a rate, ``busy``.
    """
    kind = kind_of(structure, asked.public_key)
    facts = facts_of(structure, kind)
    question = Question(rules, asked, memory)
    try:
        _check_kind(rules, kind)
        _check_algorithm(question, structure)
        repeated = kind in _CHECKS and _CHECKS[kind](question, structure)
        if not repeated:
            _check_quiet_hours(question, kind)
            _check_rates(question, kind)
    except Refusal as refusal:
        return Denied(refusal.code, str(refusal), facts, refusal.after)
    threshold = _threshold(rules, structure, kind)
    if repeated or threshold is None or (kind == SELF_SIGNED and _is_first(question)):
        return Allowed(facts)
    return NeedsApproval(threshold, facts)


def _threshold(rules: KeyRules, structure: Structure, kind: str) -> Approval | None:
    if (
        kind == CA_CERT
        and isinstance(structure, TbsCertificate)
        and certificate_checks.is_self_issued(structure)
    ):
        return rules.succession() or rules.approval(kind)
    return rules.approval(kind)


def _check_kind(rules: KeyRules, kind: str) -> None:
    if kind not in rules.kinds:
        allowed = ", ".join(rules.kinds)
        raise Refusal(f"this is of kind {kind}; {rules.name} allows {allowed}", "kind")


def _check_algorithm(question: Question, structure: Structure) -> None:
    algorithm, allowed = question.asked.algorithm, question.rules.algorithms
    if allowed and algorithm not in allowed:
        raise Refusal(f"the algorithm {algorithm} is not one of {', '.join(allowed)}")
    try:
        kind_of_key = key_type(question.asked.public_key)
    except Malformed as broken:
        raise Refusal(f"the signing key cannot be read: {broken}") from None
    if not fits(algorithm, kind_of_key):
        raise Refusal(f"{kind_of_key} keys do not sign with {algorithm}")
    if isinstance(structure, TbsCertificate | TbsCertList) and structure.algorithm != algorithm:
        raise Refusal(f"inside it says {structure.algorithm}, and {algorithm} was asked for")


def _check_quiet_hours(question: Question, kind: str) -> None:
    if kind not in _QUIET or not question.rules.quiet_hours:
        return
    local = question.asked.now.astimezone(question.rules.time_zone)
    for span in question.rules.quiet_hours:
        if span.holds(local):
            raise Refusal(f"no certificates are signed during the quiet hours {span.text}")


def _check_rates(question: Question, kind: str) -> None:
    asked, rules = question.asked, question.rules
    own = rules.of(kind).gate.rates
    for name, span in _SPANS:
        all_kinds, this_kind = _limit(rules.rates, name), _limit(own, name)
        if all_kinds is None and this_kind is None:
            continue
        signed = question.memory.signed_since(asked.key, asked.now - span, asked.tbs_hash)
        for limit, before in (
            (all_kinds, sum(signed.values())),
            (this_kind, signed.get(kind, 0)),
        ):
            if limit is not None and before >= limit:
                after = int(span / timedelta(milliseconds=1)) // limit
                text = name.replace("_", "-")
                raise Refusal(f"{text} is {limit}, and {before} were signed", "busy", after)


def _limit(rates: Rates, name: str) -> int | None:
    limit: int | None = getattr(rates, name)
    return limit


def _is_first(question: Question) -> bool:
    """The key's first certificate for itself gives nobody anything."""
    asked = question.asked
    return (
        not question.rules.self_signed.first_needs_approval
        and asked.issuer is None
        and question.memory.self_signed_before(asked.key) in (None, asked.tbs_hash)
    )
