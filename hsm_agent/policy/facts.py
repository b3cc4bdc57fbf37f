"""What a structure says, as texts for the journal and for people who approve."""

from collections.abc import Callable, Mapping

from cryptography import x509

from hsm_agent.policy.certificate_checks import is_self_issued, value_of
from hsm_agent.policy.verdicts import Facts
from hsm_agent.policy.vocabulary import PURPOSES
from hsm_agent.structures.algorithms import key_type
from hsm_agent.structures.certificate import TbsCertificate
from hsm_agent.structures.classify import Proof, Raw, Structure
from hsm_agent.structures.crl import TbsCertList
from hsm_agent.structures.csr import RequestInfo
from hsm_agent.structures.der import Malformed
from hsm_agent.structures.kinds import CA_CERT, SELF_SIGNED
from hsm_agent.structures.ocsp import ResponseData
from hsm_agent.structures.signed_attributes import SignedAttributes
from hsm_agent.structures.timestamp import TimeStamp

_PURPOSE_NAMES = {oid: name for name, oid in PURPOSES.items()}
_FORMS: Mapping[type[x509.GeneralName], str] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "uri",
    x509.RegisteredID: "rid",
}
_MOST_SERIALS = 20


def kind_of(structure: Structure, public_key: bytes) -> str:
    """Return the kind of a structure for this key: `SELF_SIGNED` depends on who signs."""
    if (
        isinstance(structure, TbsCertificate)
        and structure.kind == CA_CERT
        and structure.public_key == public_key
        and structure.issuer == structure.subject
    ):
        return SELF_SIGNED
    return structure.kind


def facts_of(structure: Structure, kind: str) -> dict[str, str]:
    """Return what is told of a structure; see ``verdicts.Facts``."""
    facts = {"kind": kind, **_TELLERS[type(structure)](structure)}
    if kind == CA_CERT and isinstance(structure, TbsCertificate) and is_self_issued(structure):
        facts["succession"] = "another key gets the name of this authority itself"
    return facts


def _certificate(tbs: TbsCertificate) -> Facts:
    facts = {
        "serial": f"{tbs.serial:x}",
        "subject": tbs.subject_name.rfc4514_string(),
        "not-before": tbs.not_before.isoformat(),
        "not-after": tbs.not_after.isoformat(),
        "subject-key": _key(tbs.public_key),
    }
    if names := value_of(tbs, x509.SubjectAlternativeName):
        facts["names"] = ", ".join(map(name_text, names))
    if tbs.key_usage is not None:
        facts["key-usage"] = ", ".join(tbs.key_usage)
    if tbs.purposes is not None:
        named = (_PURPOSE_NAMES.get(oid, oid) for oid in tbs.purposes)
        facts["extended-key-usage"] = ", ".join(named)
    if tbs.kind == CA_CERT:
        facts |= _authority(tbs)
    return facts


def _authority(tbs: TbsCertificate) -> Facts:
    facts = {"path-length": "open" if tbs.path_length is None else str(tbs.path_length)}
    if limits := value_of(tbs, x509.NameConstraints):
        facts["permitted-names"] = ", ".join(map(name_text, limits.permitted_subtrees or ()))
        facts["excluded-names"] = ", ".join(map(name_text, limits.excluded_subtrees or ()))
    return facts


def name_text(name: x509.GeneralName) -> str:
    """Return a GeneralName as ``dns:www.example``; of an otherName only the type is told."""
    if isinstance(name, x509.OtherName):
        return f"other:{name.type_id.dotted_string}"
    if isinstance(name, x509.DirectoryName):
        return f"dirname:{name.value.rfc4514_string()}"
    if isinstance(name, x509.RegisteredID):
        return f"rid:{name.value.dotted_string}"
    return f"{_FORMS[type(name)]}:{name.value}"


def _crl(tbs: TbsCertList) -> Facts:
    facts = {
        "scope": tbs.scope,
        "this-update": tbs.this_update.isoformat(),
        "revoked": str(tbs.revoked),
    }
    if tbs.number is not None:
        facts["crl-number"] = str(tbs.number)
    if tbs.next_update is not None:
        facts["next-update"] = tbs.next_update.isoformat()
    return facts


def _ocsp(tbs: ResponseData) -> Facts:
    told = [f"{answer.serial:x} {answer.status}" for answer in tbs.answers[:_MOST_SERIALS]]
    return {
        "produced-at": tbs.produced_at.isoformat(),
        "answers": str(len(tbs.answers)),
        "statuses": ", ".join(told),
    }


def _csr(tbs: RequestInfo) -> Facts:
    return {"subject": tbs.subject_name.rfc4514_string(), "subject-key": _key(tbs.public_key)}


def _attributes(tbs: SignedAttributes) -> Facts:
    return {"content-type": tbs.content_type, "message-digest": tbs.message_digest.hex()}


def _time_stamp(tbs: TimeStamp) -> Facts:
    return {
        "time-stamp": f"{tbs.serial:x}",
        "gen-time": tbs.gen_time.isoformat(),
        "policy": tbs.policy,
        "imprint": f"{tbs.hash}:{tbs.imprint.hex()}",
    }


def _proof(tbs: Proof) -> Facts:
    return {"challenge": tbs.challenge.hex()}


def _raw(tbs: Raw) -> Facts:
    return {"octets": str(len(tbs.octets))}


def _key(spki: bytes) -> str:
    try:
        return key_type(spki)
    except Malformed:
        return "broken"


_TELLERS: Mapping[type, Callable[..., Facts]] = {
    TbsCertificate: _certificate,
    TbsCertList: _crl,
    ResponseData: _ocsp,
    RequestInfo: _csr,
    SignedAttributes: _attributes,
    TimeStamp: _time_stamp,
    Proof: _proof,
    Raw: _raw,
}
