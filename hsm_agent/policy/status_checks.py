"""The rules on CRLs and on OCSP answers."""

import hashlib
from functools import lru_cache

from cryptography import x509

from hsm_agent.policy.certificate_checks import check_key_identifier
from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.own_certificate import (
    OCSP_SIGNING,
    OwnCertificate,
    key_hash,
    read_own_certificate,
)
from hsm_agent.policy.question import CLOCK_TOLERANCE, Question
from hsm_agent.structures.algorithms import HASH_OIDS
from hsm_agent.structures.crl import TbsCertList
from hsm_agent.structures.der import Malformed
from hsm_agent.structures.ocsp import Answer, ResponseData

COMPLETE = "complete"

_DELTA = "2.5.29.27"
_DISTRIBUTION_POINT = "2.5.29.28"
_CRITICAL = (_DELTA, _DISTRIBUTION_POINT)
_LONGEST_NUMBER = 20
_MOST_TOLD = 5


def check_crl(question: Question, tbs: TbsCertList) -> bool:
    """Return whether the identical CRL was the last one, when it may be signed.

    Raises:
        Refusal: a rule forbids it.
    """
    own = question.authority()
    if tbs.issuer != own.subject:
        raise Refusal("the issuer is not the subject of this key's own certificate")
    named = tbs.extensions.get(x509.AuthorityKeyIdentifier.oid.dotted_string)
    if named is not None and isinstance(named.value, x509.AuthorityKeyIdentifier):
        check_key_identifier(named.value, own)
    for oid, extension in tbs.extensions.items():
        if extension.critical and oid not in _CRITICAL:
            raise Refusal(f"the critical extension {oid} of a CRL is not known")
    _check_scope(question, tbs)
    _check_times(question, tbs)
    return _check_progress(question, tbs)


def _check_scope(question: Question, tbs: TbsCertList) -> None:
    rules = question.rules.crl
    if tbs.base is not None and not rules.deltas:
        raise Refusal("delta CRLs are not allowed")
    point = tbs.extensions.get(_DISTRIBUTION_POINT)
    if point is None:
        return
    if not rules.partitions:
        raise Refusal("CRLs with an issuingDistributionPoint are not allowed")
    if not isinstance(point.value, x509.IssuingDistributionPoint) or point.value.indirect_crl:
        raise Refusal("indirect CRLs are not allowed")


def _check_times(question: Question, tbs: TbsCertList) -> None:
    now = question.asked.now
    if tbs.this_update > now + CLOCK_TOLERANCE:
        raise Refusal(f"thisUpdate {tbs.this_update} lies in the future")
    if tbs.next_update is None:
        raise Refusal("the CRL has no nextUpdate")
    if tbs.next_update > now + question.rules.crl.max_next_update + CLOCK_TOLERANCE:
        raise Refusal(f"nextUpdate {tbs.next_update} is farther away than max-next-update")
    if tbs.next_update < tbs.this_update:
        raise Refusal("nextUpdate lies before thisUpdate")


def _check_progress(question: Question, tbs: TbsCertList) -> bool:
    asked, memory = question.asked, question.memory
    if tbs.number is None or not 0 <= tbs.number < 1 << 8 * _LONGEST_NUMBER - 1:
        raise Refusal("the CRL has no number of at most 20 octets")
    last = memory.last_crl(asked.key, tbs.scope)
    if last is not None:
        if last.tbs_hash == asked.tbs_hash:
            return True
        if tbs.number <= last.number:
            raise Refusal(f"the CRL number {tbs.number} does not grow: {last.number} was signed")
        if tbs.this_update < last.this_update:
            raise Refusal(f"thisUpdate goes back: {last.this_update} was signed")
    if tbs.base is not None:
        _check_base(question, tbs, tbs.base)
    elif question.rules.crl.never_drop:
        _check_dropped(question, tbs)
    return False


def _check_base(question: Question, tbs: TbsCertList, base: int) -> None:
    complete = question.memory.last_crl(question.asked.key, tbs.scope.replace("delta", COMPLETE))
    if complete is None or base > complete.number:
        raise Refusal("a delta CRL has to stand on a complete CRL that was signed here")
    if question.rules.crl.never_drop and tbs.removes:
        raise Refusal("a delta CRL that takes serials off is not allowed with never-drop")


def _check_dropped(question: Question, tbs: TbsCertList) -> None:
    """Of a certificate that was signed elsewhere nobody here knows when it expires."""
    key, memory = question.asked.key, question.memory
    gone = [
        serial
        for serial in memory.dropped(key, tbs.scope, tbs.serials(), tbs.this_update)
        if memory.serial_use(key, serial) is not None
    ]
    if gone:
        told = ", ".join(f"{serial:x}" for serial in sorted(gone)[:_MOST_TOLD])
        raise Refusal(f"{len(gone)} revoked serials are no more on the CRL: {told}")


def check_ocsp(question: Question, tbs: ResponseData) -> bool:
    """Return ``False``, for no OCSP answer counts as a repetition, when it may be signed.

    Raises:
        Refusal: a rule forbids it.
    """
    own = question.own()
    issuer = own if own.is_authority else _delegating(question, own)
    responders = (own.subject, key_hash(own.public_key, "sha1"))
    if (tbs.responder_name or tbs.responder_key_hash) not in responders:
        raise Refusal("the responder is not this key")
    if tbs.critical:
        raise Refusal(f"the critical extension {tbs.critical[0]} of an OCSP answer is not known")
    if tbs.produced_at > question.asked.now + CLOCK_TOLERANCE:
        raise Refusal(f"producedAt {tbs.produced_at} lies in the future")
    for answer in tbs.answers:
        _check_answer(question, answer, issuer)
    return False


def _delegating(question: Question, own: OwnCertificate) -> OwnCertificate:
    """Return the issuer whose certificates a delegated responder answers for (RFC 6960 4.2.2.2)."""
    if OCSP_SIGNING not in own.purposes:
        raise Refusal("this key's own certificate is not one for OCSP answers")
    if question.asked.above is None:
        raise Refusal("the issuer of this key's own certificate is not known")
    try:
        above = read_own_certificate(question.asked.above)
    except Malformed as broken:
        raise Refusal(f"the issuer's certificate cannot be read: {broken}") from None
    if above.subject != own.issuer or not above.is_authority:
        raise Refusal("the certificate above this key's own is not that of its issuer")
    return above


def _check_answer(question: Question, answer: Answer, issuer: OwnCertificate) -> None:
    if answer.hash not in HASH_OIDS or (
        answer.issuer_name_hash,
        answer.issuer_key_hash,
    ) != _issuer_hashes(issuer.subject, issuer.public_key, answer.hash):
        raise Refusal("a certificate of another issuer is answered for")
    now, longest = question.asked.now, question.rules.ocsp.max_validity
    if answer.this_update > now + CLOCK_TOLERANCE:
        raise Refusal(f"thisUpdate {answer.this_update} lies in the future")
    if answer.next_update is None:
        raise Refusal("an OCSP answer has no nextUpdate")
    if answer.next_update < answer.this_update:
        raise Refusal("nextUpdate lies before thisUpdate")
    if answer.next_update > now + longest + CLOCK_TOLERANCE:
        raise Refusal(f"nextUpdate {answer.next_update} is farther away than max-validity")


@lru_cache(maxsize=256)
def _issuer_hashes(subject: bytes, public_key: bytes, name: str) -> tuple[bytes, bytes]:
    hashed = hashlib.new(name, subject, usedforsecurity=False).digest()
    return hashed, key_hash(public_key, name)
