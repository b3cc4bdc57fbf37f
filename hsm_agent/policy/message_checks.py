"""The rules on requests, signed attributes and time-stamps."""

from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.name_forms import ANY
from hsm_agent.policy.question import Question
from hsm_agent.policy.rules import CONTENT_TYPES, SCEP
from hsm_agent.structures.csr import RequestInfo
from hsm_agent.structures.signed_attributes import SignedAttributes
from hsm_agent.structures.timestamp import TST_INFO, TimeStamp

_SCEP_MESSAGE_TYPE = "2.16.840.1.113733.1.9.2"
_SCEP_TRANSACTION = "2.16.840.1.113733.1.9.7"
_CERT_REP = b"\x13\x013"
"""The PrintableString ``3`` (RFC 8894 section 3.2.1.2)."""


def check_csr(question: Question, tbs: RequestInfo) -> bool:
    """Return ``False`` when the key may ask for a certificate: for itself, and in its name.

    Raises:
        Refusal: a rule forbids it.
    """
    if tbs.public_key != question.asked.public_key:
        raise Refusal("the request is not for this key")
    if not any(pattern.matches(tbs.subject_name) for pattern in question.rules.csr.subjects):
        raise Refusal(f"the subject {tbs.subject_name.rfc4514_string()!r} is not allowed")
    return False


def check_cms_attrs(question: Question, tbs: SignedAttributes) -> bool:
    """Return ``False`` when attributes that stand for this type of content may be signed.

    Raises:
        Refusal: a rule forbids it.
    """
    question.own()
    allowed = question.rules.cms_attrs.content_types
    if tbs.content_type == TST_INFO:
        raise Refusal("a time-stamp is signed together with its TSTInfo only")
    if tbs.content_type in allowed or ANY in allowed:
        return False
    if SCEP in allowed and tbs.content_type == CONTENT_TYPES["data"] and _is_scep(tbs):
        return False
    raise Refusal(f"signed attributes for the content type {tbs.content_type} are not allowed")


def _is_scep(tbs: SignedAttributes) -> bool:
    return (
        tbs.attributes.get(_SCEP_MESSAGE_TYPE) == (_CERT_REP,)
        and _SCEP_TRANSACTION in tbs.attributes
    )


def check_tst(question: Question, tbs: TimeStamp) -> bool:
    """Return ``False`` when the time is the agent's own, and policy and hash are allowed.

    Raises:
        Refusal: a rule forbids it.
    """
    own, rules = question.own(), question.rules.tst
    if abs(tbs.gen_time - question.asked.now) > rules.tolerance:
        raise Refusal(f"genTime {tbs.gen_time} is too far from this host's time")
    if tbs.policy not in rules.policies and ANY not in rules.policies:
        raise Refusal(f"the time-stamp policy {tbs.policy} is not allowed")
    if tbs.hash not in rules.imprints:
        raise Refusal(f"an imprint by {tbs.hash} is not allowed")
    if tbs.tsa and tbs.tsa != own.subject:
        raise Refusal("the time-stamp names another authority")
    return False
