"""What a template may say of usage, validity, pointers and renewal."""

import re
from collections.abc import Iterator
from datetime import timedelta

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import ExtensionRules, Template
from pikaserver.asn1.kem_keys import PREFIX
from pikaserver.authority.naming.subtrees import read_subtree
from pikaserver.authority.templates.tables import did_you_mean
from pikaserver.authority.templates.usages import (
    CONSISTENT_USAGES,
    DOTTED_OID,
    KEY_USAGES,
    extended_key_usage_name,
    usage_sections,
    usages_of,
)

_URL = re.compile(r"(?P<scheme>https?|ldap)://[A-Za-z0-9][!-~]*", re.ASCII)
_POST_QUANTUM = ("ml-dsa-", "slh-dsa-", PREFIX, "composite-")
_BACKDATE = timedelta(hours=48)
_SHORTEST = timedelta(minutes=1)


def usage_problems(template: Template) -> Iterator[str]:
    """Yield what is wrong with key usages, extended key usages and basic constraints."""
    usage = template.usage
    for word in usage.key_usage:
        if word not in KEY_USAGES:
            yield f"usage.key-usage: {word!r} is not a key usage{did_you_mean(word, KEY_USAGES)}"
    if {"encipherOnly", "decipherOnly"}.intersection(usage.key_usage) and (
        "keyAgreement" not in usage.key_usage
    ):
        yield "usage.key-usage: encipherOnly and decipherOnly mean nothing without keyAgreement"
    for key_type in sorted(template.key_types):
        if usage.key_usage and not usages_of(key_type).intersection(usage.key_usage):
            wanted = ", ".join(usage.key_usage)
            cited = ", ".join(usage_sections(key_type))
            yield f"usage.key-usage: {key_type} keys can do none of {wanted} ({cited})"
    yield from _idle_usages(template)
    yield from _extended_usage_problems(template)
    yield from _authority_problems(template)


def _idle_usages(template: Template) -> Iterator[str]:
    """Yield usages that no key of a post-quantum template can serve; their RFCs forbid them.

    Where a template takes classical keys, too, each kind has its part of the usages, and one that
    is left over for nobody does no harm.
    """
    if template.usage.ca and any(kind.startswith(PREFIX) for kind in template.key_types):
        yield "usage.ca: ML-KEM keys do not sign, so they are no CA's (RFC 9935 section 5)"
    kinds = sorted(template.key_types)
    if not all(kind.startswith(_POST_QUANTUM) for kind in kinds):
        return
    possible = {usage for kind in kinds for usage in usages_of(kind)}
    for word in (one for one in template.usage.key_usage if one in KEY_USAGES):
        if word not in possible:
            cited = sorted({section for kind in kinds for section in usage_sections(kind)})
            yield (
                f"usage.key-usage: {word} is nothing that {', '.join(kinds)} keys can do"
                f" ({', '.join(cited)})"
            )


def _extended_usage_problems(template: Template) -> Iterator[str]:
    usage = template.usage
    names = [extended_key_usage_name(oid) for oid in usage.extended_key_usage]
    key = "usage.extended-key-usage"
    for name in set(names).intersection(CONSISTENT_USAGES) if usage.key_usage else ():
        consistent = CONSISTENT_USAGES[name].intersection(usage.key_usage)
        for key_type in sorted(template.key_types):
            if not consistent & usages_of(key_type):
                wanted = " or ".join(sorted(CONSISTENT_USAGES[name] & usages_of(key_type)))
                yield (
                    f"{key}: {name} with {key_type} keys needs {wanted} in usage.key-usage"
                    " (RFC 5280 section 4.2.1.12)"
                )
    if usage.extended_key_usage_critical and not names:
        yield f"{key}-critical stands only with {key}"
    if "anyExtendedKeyUsage" in names and usage.extended_key_usage_critical:
        yield f"{key}-critical: not with anyExtendedKeyUsage (RFC 5280 section 4.2.1.12)"
    if "timeStamping" in names and (len(names) > 1 or not usage.extended_key_usage_critical):
        yield f"{key}: timeStamping stands alone and is critical (RFC 3161 section 2.3)"
    if template.extensions.ocsp_no_check and "OCSPSigning" not in names:
        yield "extensions.ocsp-no-check stands only with OCSPSigning"


def _authority_problems(template: Template) -> Iterator[str]:
    usage = template.usage
    if usage.ca != ("keyCertSign" in usage.key_usage):
        yield "usage.ca and keyCertSign in usage.key-usage belong together (RFC 5280 4.2.1.3)"
    if usage.path_length is not None and not usage.ca:
        yield "usage.path-length stands only with usage.ca = true"
    if usage.path_length is not None and usage.path_length < 0:
        yield f"usage.path-length: {usage.path_length} is negative"
    for key, texts in (
        ("permitted-names", usage.permitted_names),
        ("excluded-names", usage.excluded_names),
    ):
        if texts and not usage.ca:
            yield f"usage.{key} stands only with usage.ca = true (RFC 5280 section 4.2.1.10)"
        for text in texts:
            try:
                read_subtree(text)
            except RequestRejected as problem:
                yield f"usage.{key}: {problem}"


def validity_problems(template: Template) -> Iterator[str]:
    """Yield what is wrong with times, pointers and renewal."""
    validity, renewal = template.validity, template.renewal
    if validity.period < _SHORTEST:
        yield "validity.period is shorter than a minute"
    if validity.maximum < validity.period:
        yield "validity.maximum is shorter than validity.period"
    if validity.maximum > validity.period and not validity.overridable:
        yield "validity.maximum is longer than period, which needs validity.overridable = true"
    if validity.backdate > _BACKDATE:
        yield "validity.backdate is longer than 48h, the most that relying parties accept"
    if renewal.window is not None and renewal.window >= validity.period:
        yield "renewal.window is not shorter than validity.period"
    yield from _related_problems(template)
    if renewal.allowed and "certificate" not in template.proofs:
        yield "renewal.allowed needs 'certificate' in proofs"
    yield from _url_problems(template.extensions)
    yield from _policy_problems(template.extensions)


def _related_problems(template: Template) -> Iterator[str]:
    rules = template.related
    for key, used in (("mode", rules.mode != "refused"), ("pair", rules.pair is not None)):
        if used and template.usage.ca:
            why = "only certificates of end entities are paired (RFC 9763 section 4)"
            yield f"related.{key}: {why}"
    if rules.pair is not None and rules.mode == "required":
        yield "related.pair: what has to be bound to another certificate is not a pair's first"


def _url_problems(rules: ExtensionRules) -> Iterator[str]:
    pointers = (
        ("issuer", rules.issuer_url, rules.custom_issuer_urls),
        ("ocsp", rules.ocsp_url, rules.custom_ocsp_urls),
        ("crl", rules.crl_url, rules.custom_crl_urls),
    )
    for word, switched_on, urls in pointers:
        if urls and not switched_on:
            yield f"extensions.custom-{word}-urls needs extensions.{word}-url = true"
        for url in urls:
            found = _URL.fullmatch(url)
            # To fetch over https a client would need the very status that it asks for.
            if found is None or found["scheme"] == "https":
                yield f"extensions.custom-{word}-urls: {url!r} is not an http:// or ldap:// URL"
    if rules.must_staple and not rules.ocsp_url:
        yield "extensions.must-staple needs extensions.ocsp-url = true (RFC 7633)"


def _policy_problems(rules: ExtensionRules) -> Iterator[str]:
    for policy in rules.policies:
        if not DOTTED_OID.fullmatch(policy):
            yield f"extensions.policies: {policy!r} is not a dotted OID"
    if len(set(rules.policies)) < len(rules.policies):
        yield "extensions.policies: a policy stands there twice (RFC 5280 section 4.2.1.4)"
    if rules.cps_url is not None:
        found = _URL.fullmatch(rules.cps_url)
        if found is None or found["scheme"] == "ldap":
            yield f"extensions.cps-url: {rules.cps_url!r} is not an http:// or https:// URL"
        if not rules.policies:
            yield "extensions.cps-url needs extensions.policies, in which it stands"
