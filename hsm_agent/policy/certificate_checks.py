"""The rules on certificates: of leaves, of authorities below, and of the key itself."""

from functools import cache
from typing import TypeVar

from cryptography import x509

from hsm_agent.policy.faults import Refusal
from hsm_agent.policy.name_checks import check_alternative_names, check_subject_names
from hsm_agent.policy.name_constraints import check_name_constraints
from hsm_agent.policy.name_forms import ANY
from hsm_agent.policy.own_certificate import OwnCertificate, key_hash
from hsm_agent.policy.question import CLOCK_TOLERANCE, Question
from hsm_agent.policy.rule_groups import Contents, Lifetime
from hsm_agent.policy.rules import Authority
from hsm_agent.policy.vocabulary import EXTENSIONS, PURPOSES
from hsm_agent.structures.algorithms import key_type
from hsm_agent.structures.certificate import TbsCertificate
from hsm_agent.structures.der import Malformed

E = TypeVar("E", bound=x509.ExtensionType)

_ANY_PURPOSE = PURPOSES["anyExtendedKeyUsage"]
_PURPOSE_NAMES = {oid: name for name, oid in PURPOSES.items()}
_EXTENSION_NAMES = {oid: name for name, oid in EXTENSIONS.items()}


def check_cert(question: Question, tbs: TbsCertificate) -> bool:
    """Return whether the identical certificate was allowed before, when a leaf may be signed.

    Raises:
        Refusal: a rule forbids it.
    """
    rules = question.rules.cert
    own = question.authority()
    _check_issuer(tbs, own)
    repeated = check_serial(question, tbs)
    if tbs.public_key == question.asked.public_key:
        raise Refusal("the certificate is over the signing key itself")
    _check_lifetime(question, rules.lifetime, tbs)
    if rules.not_after_issuer:
        _check_end(tbs, own)
    _check_contents(rules.contents, tbs)
    _check_purposes(rules.contents, tbs)
    check_subject_names(rules.names, tbs.subject_name)
    alternative = value_of(tbs, x509.SubjectAlternativeName)
    if alternative is not None:
        check_alternative_names(rules.names, alternative)
    return repeated


def check_ca_cert(question: Question, tbs: TbsCertificate) -> bool:
    """Return whether it was allowed before, when an authority's certificate may be signed.

    Raises:
        Refusal: a rule forbids it.
    """
    rules = question.rules.ca_cert
    own = question.authority()
    _check_issuer(tbs, own)
    repeated = check_serial(question, tbs)
    if tbs.public_key == question.asked.public_key:
        raise Refusal("a CA certificate over the signing key itself has to be self-signed")
    of_root = is_self_issued(tbs) and question.rules.succession() is not None
    limits = question.rules.self_signed.authority if of_root else rules.authority
    _check_lifetime(question, limits.lifetime, tbs)
    if rules.not_after_issuer:
        _check_end(tbs, own)
    _check_authority(limits, tbs)
    if own.path_length is not None and not is_self_issued(tbs):
        _check_path_length(own.path_length - 1, tbs.path_length)
    return repeated


def check_self_signed(question: Question, tbs: TbsCertificate) -> bool:
    """Return whether it was allowed before, when the key may sign a certificate for itself.

    Raises:
        Refusal: a rule forbids it.
    """
    rules = question.rules.self_signed.authority
    repeated = check_serial(question, tbs)
    if question.asked.issuer is not None and question.own().subject != tbs.subject:
        raise Refusal("the subject is not that of this key's own certificate")
    _check_lifetime(question, rules.lifetime, tbs)
    _check_authority(rules, tbs)
    named = value_of(tbs, x509.AuthorityKeyIdentifier)
    identifier = value_of(tbs, x509.SubjectKeyIdentifier)
    if named is not None and named.key_identifier != (identifier and identifier.digest):
        raise Refusal("the authorityKeyIdentifier is not the certificate's own identifier")
    return repeated


def check_serial(question: Question, tbs: TbsCertificate) -> bool:
    """Return whether this very certificate had this serial before.

    Raises:
        Refusal: another one had it.
    """
    asked = question.asked
    used = question.memory.serial_use(asked.key, tbs.serial)
    if used is not None and used != asked.tbs_hash:
        raise Refusal(f"the serial number {tbs.serial:x} belongs to another certificate")
    return used is not None


def check_key_identifier(named: x509.AuthorityKeyIdentifier | None, own: OwnCertificate) -> None:
    """Return when an authorityKeyIdentifier, where there is one, means this key's certificate.

    Raises:
        Refusal: it means another one.
    """
    if named is None:
        return
    if named.key_identifier not in (None, own.key_identifier) and (
        named.key_identifier != key_hash(own.public_key, "sha1")
    ):
        raise Refusal("the authorityKeyIdentifier is not that of this key")
    if named.authority_cert_serial_number not in (None, own.serial):
        raise Refusal("the authorityKeyIdentifier names another certificate of the issuer")
    for name in named.authority_cert_issuer or ():
        if not isinstance(name, x509.DirectoryName) or name.value.public_bytes() != own.issuer:
            raise Refusal("the authorityKeyIdentifier names another issuer")


def is_self_issued(tbs: TbsCertificate) -> bool:
    """Tell whether issuer and subject have one name (RFC 5280 section 3.2)."""
    return tbs.issuer == tbs.subject


def value_of(tbs: TbsCertificate, kind: type[E]) -> E | None:
    """Return an extension's value, ``None`` where it is not there."""
    found = tbs.extensions.get(_oid(kind))
    return found.value if found and isinstance(found.value, kind) else None


@cache
def _oid(kind: type[x509.ExtensionType]) -> str:
    return kind.oid.dotted_string


def _check_issuer(tbs: TbsCertificate, own: OwnCertificate) -> None:
    if tbs.issuer != own.subject:
        raise Refusal("the issuer is not the subject of this key's own certificate")
    check_key_identifier(value_of(tbs, x509.AuthorityKeyIdentifier), own)


def _check_lifetime(question: Question, rules: Lifetime, tbs: TbsCertificate) -> None:
    now = question.asked.now
    if tbs.not_after > now + rules.max_validity + CLOCK_TOLERANCE:
        raise Refusal(f"it is valid until {tbs.not_after}, longer than max-validity from now")
    if tbs.not_before < now - rules.max_backdate - CLOCK_TOLERANCE:
        raise Refusal(f"it begins at {tbs.not_before}, longer ago than max-backdate")


def _check_end(tbs: TbsCertificate, own: OwnCertificate) -> None:
    if tbs.not_after > own.not_after:
        raise Refusal(f"it is valid longer than its issuer, until {tbs.not_after}")


def _check_contents(rules: Contents, tbs: TbsCertificate) -> None:
    try:
        kind = key_type(tbs.public_key)
    except Malformed as broken:
        raise Refusal(f"its public key is none to certify: {broken}") from None
    if not any(allowed.meets(kind) for allowed in rules.subject_keys):
        raise Refusal(f"its public key is of type {kind}, which is not allowed")
    if not any(pattern.matches(tbs.subject_name) for pattern in rules.subjects):
        raise Refusal(f"the subject {tbs.subject_name.rfc4514_string()!r} is not allowed")
    for oid, extension in tbs.extensions.items():
        if oid not in rules.extensions and ANY not in rules.extensions:
            raise Refusal(f"the extension {_EXTENSION_NAMES.get(oid, oid)} is not allowed")
        if extension.critical and oid not in rules.critical_extensions:
            raise Refusal(f"the extension {_EXTENSION_NAMES.get(oid, oid)} may not be critical")
    _check_key_usage(rules, tbs)


def _check_key_usage(rules: Contents, tbs: TbsCertificate) -> None:
    if ANY in rules.key_usage:
        return
    if tbs.key_usage is None:
        raise Refusal("it has no keyUsage, which would allow every use")
    for name in tbs.key_usage:
        if name not in rules.key_usage:
            raise Refusal(f"the key usage {name} is not allowed")


def _check_purposes(rules: Contents, tbs: TbsCertificate) -> None:
    """Every purpose is only allowed by its own name, also where the extension is left out."""
    if tbs.purposes is None and _ANY_PURPOSE not in rules.extended_key_usage:
        raise Refusal("it has no extended key usage, which would allow every purpose")
    for oid in tbs.purposes or ():
        everything = ANY in rules.extended_key_usage and oid != _ANY_PURPOSE
        if oid not in rules.extended_key_usage and not everything:
            name = _PURPOSE_NAMES.get(oid, oid)
            raise Refusal(f"the extended key usage {name} is not allowed")


def _check_authority(rules: Authority, tbs: TbsCertificate) -> None:
    if not tbs.is_ca:
        raise Refusal("it has keyCertSign and is not marked as a CA")
    _check_contents(rules.contents, tbs)
    # In a CA certificate purposes narrow what is below; where all are allowed, none is, too.
    if ANY not in rules.contents.extended_key_usage:
        _check_purposes(rules.contents, tbs)
    if rules.max_path_length is not None:
        _check_path_length(rules.max_path_length, tbs.path_length)
    constraint = tbs.extensions.get(x509.NameConstraints.oid.dotted_string)
    check_name_constraints(rules.name_constraints, constraint)


def _check_path_length(most: int, found: int | None) -> None:
    if most < 0:
        raise Refusal("this authority may have none below it")
    if found is None or found > most:
        raise Refusal(f"the path length is {'open' if found is None else found}, over {most}")
