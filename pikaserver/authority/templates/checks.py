"""What a template may say: each check is one rule that its tables must keep together."""

import re
from collections.abc import Callable, Iterable, Iterator

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import NameRules, Template
from pikaserver.asn1.algorithms import HASHES, KEY_TYPES
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.authority.naming.attributes import ATTRIBUTES, check_value
from pikaserver.authority.naming.names import BECOMES_NAME
from pikaserver.authority.naming.rules import read_pattern
from pikaserver.authority.templates.tables import did_you_mean
from pikaserver.authority.templates.usage_checks import usage_problems, validity_problems

_WORD = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_NAMES_LIMIT = 1000
_WEAK_ALGORITHMS = ("3des", "des", "sha1", "md5")


def check_template(template: Template) -> None:
    """Return when the rules of a template agree with each other and with the RFCs.

    Raises:
        RequestRejected: the first problem, with the dotted key where it stands.
    """
    checks: tuple[Callable[[Template], Iterator[str]], ...] = (
        _door_problems,
        _key_problems,
        _subject_problems,
        _name_problems,
        usage_problems,
        _identity_problems,
        validity_problems,
        _scep_problems,
    )
    for check in checks:
        for problem in check(template):
            raise RequestRejected(problem)


def _door_problems(template: Template) -> Iterator[str]:
    lists = (
        ("doors", template.doors),
        ("proofs", template.proofs),
        ("client-authorities", template.client_authorities),
        ("registrars", template.registrars),
        ("authority", (template.authority,)),
    )
    for key, words in lists:
        yield from (f"{key}: {word!r} is not a name" for word in words if not _WORD.fullmatch(word))
    if not template.doors:
        yield "doors is empty: nobody could ask; switch a template off with enabled = false"
    if not template.proofs:
        yield "proofs is empty: nobody could prove the right to ask"
    if template.client_authorities and "certificate" not in template.proofs:
        yield "client-authorities stands only with the proof 'certificate'"
    if template.registrars and "certificate" not in template.proofs:
        yield "registrars stands only with the proof 'certificate'"


def _key_problems(template: Template) -> Iterator[str]:
    if not template.key_types:
        yield "key.types is empty"
    known = {*KEY_TYPES, *KEM_KEY_TYPES, *COMPOSITES}
    for word in sorted(template.key_types - known):
        yield f"key.types: {word!r} is not a key type{did_you_mean(word, sorted(known))}"
    hash_name = template.signature_hash
    if hash_name is not None and hash_name not in HASHES:
        yield f"signature-hash: {hash_name!r} is not one of {', '.join(HASHES)}"


def _subject_problems(template: Template) -> Iterator[str]:
    rules = template.subject
    fixed = [short for short, _ in rules.fixed]
    yield from _unknown("subject.from-request", rules.from_request)
    yield from _unknown("subject.fixed", fixed)
    yield from _unknown("subject.required", rules.required)
    for short, value in rules.fixed:
        try:
            check_value(ATTRIBUTES[short], value)
        except RequestRejected as problem:
            yield f"subject.fixed.{short}: {problem}"
    for short in set(fixed).intersection(rules.from_request):
        yield f"subject.from-request: {short} is fixed already"
    for short in set(fixed):
        if fixed.count(short) > 1 and not ATTRIBUTES[short].repeatable:
            yield f"subject.fixed.{short} stands only once in a subject"
    for short in rules.required:
        copied = short == "CN" and rules.common_name == "copy-first-name"
        if short not in fixed and short not in rules.from_request and not copied:
            yield f"subject.required: {short} is neither in from-request nor in fixed"


def _unknown(key: str, shorts: Iterable[str]) -> Iterator[str]:
    for short in shorts:
        if short not in ATTRIBUTES:
            hint = did_you_mean(short, ATTRIBUTES)
            yield f"{key}: {short!r} is not an attribute of subjects{hint}"


def _name_problems(template: Template) -> Iterator[str]:
    if not 1 <= template.names_limit <= _NAMES_LIMIT:
        yield f"names.limit: {template.names_limit} is not between 1 and {_NAMES_LIMIT}"
    if template.names_required and not template.names:
        yield "names.required needs a kind of names, like [names.dns]"
    for rules in template.names:
        yield from _rule_problems(rules)


def _rule_problems(rules: NameRules) -> Iterator[str]:
    key = f"names.{rules.kind}"
    if not rules.allow:
        yield f"{key}.allow is empty: leave the table out to allow none, or write '*' for any"
    if rules.wildcards and rules.kind != "dns":
        yield f"{key}.wildcards stands only in names.dns"
    if rules.single_labels and rules.kind not in ("dns", "upn"):
        yield f"{key}.single-labels stands only in names.dns and names.upn"
    for word, patterns in (("allow", rules.allow), ("deny", rules.deny)):
        for pattern in patterns:
            try:
                read_pattern(rules.kind, pattern)
            except RequestRejected as problem:
                yield f"{key}.{word}: {problem}"


def _identity_problems(template: Template) -> Iterator[str]:
    rules = template.subject
    kinds = {names.kind for names in template.names}
    has_subject = bool(rules.from_request or rules.fixed)
    if not has_subject and not kinds:
        yield "subject and names are both empty: certificates would name nobody"
    if rules.common_name == BECOMES_NAME and not kinds.intersection({"dns", "ip", "email"}):
        yield "subject.common-name: becomes-name needs names.dns, names.ip or names.email"
    if rules.common_name == "copy-first-name" and not kinds:
        yield "subject.common-name: copy-first-name needs a kind of names, like [names.dns]"
    if template.usage.ca and not (rules.required or rules.fixed):
        yield "subject.required is empty: a CA certificate needs a subject (RFC 5280 4.1.2.6)"


def _scep_problems(template: Template) -> Iterator[str]:
    for word in sorted(template.scep.compatibility.difference(_WEAK_ALGORITHMS)):
        hint = did_you_mean(word, _WEAK_ALGORITHMS)
        yield f"scep.compatibility: {word!r} is not one of {', '.join(_WEAK_ALGORITHMS)}{hint}"
    if template.scep.enabled and "scep" not in template.doors:
        yield "scep.enabled: 'scep' is not among the doors"
