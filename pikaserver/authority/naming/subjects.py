"""The one strict policy on subjects: which attributes a certificate gets, and in what form."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.templates import Template
from pikaserver.authority.decisions import DecisionTrace, quoted
from pikaserver.authority.naming.attributes import (
    ATTRIBUTES,
    attribute_of,
    check_value,
    name_attribute,
    short_name,
)
from pikaserver.authority.naming.names import BECOMES_NAME, name_text

COMMON_NAME_RULES = ("free", "must-be-name", "copy-first-name", BECOMES_NAME)
"""How a common name and the names belong together; see ``SubjectRules.common_name``."""


def subject(
    template: Template,
    csr: CertificationRequest,
    names: Sequence[x509.GeneralName],
    trace: DecisionTrace,
) -> x509.Name:
    """Return the subject: the template's fixed attributes, then the requested ones it takes.

    Args:
        template: whose rules count.
        csr: what was asked for.
        names: what `names.subject_names` made of the request.
        trace: where the decisions go.

    Raises:
        RequestRejected: a value is unfit, an attribute is missing, the common name is not
            what the template wants, or nothing would name the holder at all.
    """
    pairs = [*template.subject.fixed, *_requested(template, csr.subject, trace)]
    pairs = _with_common_name(template, pairs, names, trace)
    given = {short for short, _ in pairs}
    for short in template.subject.required:
        if short not in given:
            why = f"template '{template.name}' requires {short} in the subject"
            trace.refuse("subject.required", "no " + short, why)
    if not pairs and (template.usage.ca or not names):
        trace.refuse("subject.empty", "no subject", "neither subject nor names would be left")
    made = x509.Name([name_attribute(short, value) for short, value in pairs])
    trace.allow("subject", _text(pairs) or "empty", "all attributes are fit")
    return made


def check_subject(wanted: x509.Name, trace: DecisionTrace) -> None:
    """Return when a whole subject is fit as it stands, as for an authority's own certificate.

    Raises:
        RequestRejected: unknown, repeated or multi-valued attributes, unfit values, or empty.
    """
    pairs = list(_pairs(wanted, trace))
    if not pairs:
        trace.refuse("subject.empty", "no subject", "the subject is empty")
    for oid in (attribute.oid for attribute in wanted):
        if attribute_of(oid) is None:
            why = f"{short_name(oid)} is not an attribute that subjects have here"
            trace.refuse("subject.attributes", short_name(oid), why)
    for short, value in pairs:
        _check(short, value, trace)
    _check_repetitions(pairs, trace)


def _requested(
    template: Template, wanted: x509.Name, trace: DecisionTrace
) -> list[tuple[str, str]]:
    rules = template.subject
    fixed = {short for short, _ in rules.fixed}
    taken = []
    for short, value in _pairs(wanted, trace):
        asked = f"{short}={quoted(value)}"
        if short in fixed:
            trace.leave_out("subject.fixed", asked, f"template '{template.name}' fixes {short}")
        elif short not in rules.from_request:
            why = f"template '{template.name}' takes {', '.join(rules.from_request) or 'nothing'}"
            trace.leave_out("subject.from-request", asked, f"{why} from requests")
        else:
            _check(short, value, trace)
            taken.append((short, value))
    _check_repetitions(taken, trace)
    return taken


def _pairs(wanted: x509.Name, trace: DecisionTrace) -> Iterator[tuple[str, str]]:
    for rdn in wanted.rdns:
        attributes = list(rdn)
        if len(attributes) > 1:
            asked = "+".join(short_name(attribute.oid) for attribute in attributes)
            why = f"the subject has several attributes in one place ({asked})"
            trace.refuse("subject.multi-valued", asked, why)
        value = attributes[0].value
        yield short_name(attributes[0].oid), value if isinstance(value, str) else value.hex()


def _check(short: str, value: str, trace: DecisionTrace) -> None:
    try:
        check_value(ATTRIBUTES[short], value)
    except RequestRejected as problem:
        why = f"the subject's {short} {quoted(value)} is not fit: {problem}"
        trace.refuse("subject.attributes", f"{short}={quoted(value)}", why)


def _check_repetitions(pairs: Iterable[tuple[str, str]], trace: DecisionTrace) -> None:
    seen = set()
    for short, _ in pairs:
        if short in seen and not ATTRIBUTES[short].repeatable:
            trace.refuse("subject.repeated", short, f"the subject has {short} more than once")
        seen.add(short)


def _with_common_name(
    template: Template,
    pairs: list[tuple[str, str]],
    names: Sequence[x509.GeneralName],
    trace: DecisionTrace,
) -> list[tuple[str, str]]:
    """Apply the template's rule on how common name and names belong together."""
    rule = template.subject.common_name
    texts = [name_text(name) for name in names]
    fixed = {short for short, _ in template.subject.fixed}
    if rule == "copy-first-name" and "CN" not in fixed:
        others = [pair for pair in pairs if pair[0] != "CN"]
        fits = bool(texts) and len(texts[0]) <= ATTRIBUTES["CN"].limit
        return [*others, ("CN", texts[0])] if fits else others
    return [
        _checked_pair(rule, pair, texts, trace) if pair[0] not in fixed else pair for pair in pairs
    ]


def _checked_pair(
    rule: str, pair: tuple[str, str], texts: Sequence[str], trace: DecisionTrace
) -> tuple[str, str]:
    short, value = pair
    if short not in ("CN", "emailAddress"):
        return pair
    # E-mail addresses and IP addresses are never "free": they claim an identity that is a name.
    free = short == "CN" and rule == "free" and not _is_address(value)
    if value.isascii() and value.lower() in texts:
        value = value.lower()
    if not free and value not in texts:
        why = f"the subject's {short} {quoted(value)} is not one of the subject alternative names"
        trace.refuse("subject.common-name", f"{short}={quoted(value)}", why)
    return short, value


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _text(pairs: Iterable[tuple[str, str]]) -> str:
    return ",".join(f"{short}={quoted(value)}" for short, value in pairs)
