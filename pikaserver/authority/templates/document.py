"""From the tables of a template document to a `Template`, and back."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import (
    EstRules,
    ExtensionRules,
    KemRules,
    NameRules,
    RelatedRules,
    RenewalRules,
    ScepRules,
    SubjectRules,
    Template,
    UsageRules,
    ValidityRules,
)
from pikaserver.authority.naming.rules import KINDS
from pikaserver.authority.templates.durations import read_duration, write_duration
from pikaserver.authority.templates.tables import (
    ExtensionsTable,
    NamesTable,
    NameTable,
    RelatedTable,
    RenewalTable,
    SubjectTable,
    TemplateDocument,
    UsageTable,
    ValidityTable,
    did_you_mean,
)
from pikaserver.authority.templates.usages import (
    EXTENDED_KEY_USAGES,
    extended_key_usage_name,
    extended_key_usage_oid,
)

_Read = TypeVar("_Read")


def to_template(document: TemplateDocument, *, name: str, version: int) -> Template:
    """Return the template that a document describes; its rules are not checked yet.

    Raises:
        RequestRejected: a duration or an extended key usage cannot be read.
    """
    proofs = frozenset(document.proofs)
    clients = document.client_authorities
    if clients is None:
        clients = [document.authority] if "certificate" in proofs else []
    return Template(
        name=name,
        version=version,
        description=document.description,
        enabled=document.enabled,
        authority=document.authority,
        doors=frozenset(document.doors),
        proofs=proofs,
        client_authorities=frozenset(clients),
        approval=document.approval,
        subject=_subject_rules(document.subject),
        names=_name_rules(document.names),
        names_required=document.names.required,
        names_limit=document.names.limit,
        key_types=frozenset(document.key.types),
        signature_hash=document.signature_hash,
        usage=_usage_rules(document.usage),
        validity=_validity_rules(document.validity),
        extensions=_extension_rules(document.extensions),
        renewal=_renewal_rules(document.renewal),
        registrars=frozenset(document.registrars),
        devices=document.device.record,
        est=EstRules(**document.est.model_dump()),
        scep=ScepRules(
            document.scep.enabled,
            frozenset(document.scep.compatibility),
            document.scep.include_root,
        ),
        kem=KemRules(**document.kem.model_dump()),
        related=_related_rules(document.related),
    )


def _related_rules(table: RelatedTable) -> RelatedRules:
    fresh, templates = _duration("related.fresh", table.fresh), frozenset(table.templates)
    return RelatedRules(table.mode, fresh, templates, table.alternates, table.pair)


def _subject_rules(table: SubjectTable) -> SubjectRules:
    fixed = []
    for short, values in table.fixed.items():
        fixed += [(short, value) for value in ([values] if isinstance(values, str) else values)]
    return SubjectRules(
        tuple(table.from_request), tuple(fixed), tuple(table.required), table.common_name
    )


def _name_rules(table: NamesTable) -> tuple[NameRules, ...]:
    rules = []
    for kind in KINDS:
        names: NameTable | None = getattr(table, kind)
        if names is not None:
            allow, deny = tuple(names.allow), tuple(names.deny)
            rules.append(NameRules(kind, allow, deny, names.wildcards, names.single_labels))
    return tuple(rules)


def _usage_rules(table: UsageTable) -> UsageRules:
    oids = []
    for text in table.extended_key_usage:
        oid = extended_key_usage_oid(text)
        if oid is None:
            hint = did_you_mean(text, EXTENDED_KEY_USAGES)
            raise RequestRejected(
                f"usage.extended-key-usage: {text!r} is neither a known name nor a dotted OID{hint}"
            )
        oids.append(oid)
    return UsageRules(
        key_usage=tuple(dict.fromkeys(table.key_usage)),
        extended_key_usage=tuple(dict.fromkeys(oids)),
        extended_key_usage_critical=table.extended_key_usage_critical,
        ca=table.ca,
        path_length=table.path_length,
        permitted_names=tuple(table.permitted_names),
        excluded_names=tuple(table.excluded_names),
    )


def _validity_rules(table: ValidityTable) -> ValidityRules:
    period = _duration("validity.period", table.period)
    maximum = period if table.maximum is None else _duration("validity.maximum", table.maximum)
    backdate = _duration("validity.backdate", table.backdate)
    return ValidityRules(period, maximum, table.overridable, backdate)


def _extension_rules(table: ExtensionsTable) -> ExtensionRules:
    return ExtensionRules(
        issuer_url=table.issuer_url,
        ocsp_url=table.ocsp_url,
        crl_url=table.crl_url,
        custom_issuer_urls=tuple(table.custom_issuer_urls),
        custom_ocsp_urls=tuple(table.custom_ocsp_urls),
        custom_crl_urls=tuple(table.custom_crl_urls),
        policies=tuple(table.policies),
        cps_url=table.cps_url,
        must_staple=table.must_staple,
        ocsp_no_check=table.ocsp_no_check,
    )


def _renewal_rules(table: RenewalTable) -> RenewalRules:
    window = None if table.window is None else _duration("renewal.window", table.window)
    return RenewalRules(table.allowed, window, table.copy_names, table.revoke_old)


def _duration(path: str, text: str) -> timedelta:
    return _at(path, read_duration, text)


def _at(path: str, read: Callable[[str], _Read], text: str) -> _Read:
    """Return what `read` makes of a text, naming the key where it stands if it cannot."""
    try:
        return read(text)
    except RequestRejected as problem:
        raise RequestRejected(f"{path}: {problem}") from None


def to_tables(template: Template) -> dict[str, object]:
    """Return the tables that `to_template` makes into this template, every key spelt out."""
    validity = template.validity
    tables = {
        "description": template.description,
        "enabled": template.enabled,
        "authority": template.authority,
        "doors": sorted(template.doors),
        "proofs": sorted(template.proofs),
        "client-authorities": sorted(template.client_authorities),
        "registrars": sorted(template.registrars),
        "approval": template.approval,
        "signature-hash": template.signature_hash,
        "subject": _subject_table(template.subject),
        "names": _names_table(template),
        "key": {"types": sorted(template.key_types)},
        "usage": _usage_table(template.usage),
        "validity": {
            "period": write_duration(validity.period),
            "maximum": write_duration(validity.maximum),
            "overridable": validity.overridable,
            "backdate": write_duration(validity.backdate),
        },
        "extensions": _extensions_table(template.extensions),
        "renewal": _renewal_table(template.renewal),
        "device": {"record": template.devices},
        "est": _est_table(template.est),
        "scep": _scep_table(template.scep),
        "kem": asdict(template.kem),
        "related": {
            "mode": template.related.mode,
            "fresh": write_duration(template.related.fresh),
            "templates": sorted(template.related.templates),
            "alternates": template.related.alternates,
            "pair": template.related.pair,
        },
    }
    return _without_none(tables)


def _usage_table(usage: UsageRules) -> dict[str, object]:
    return {
        "key-usage": list(usage.key_usage),
        "extended-key-usage": [extended_key_usage_name(oid) for oid in usage.extended_key_usage],
        "extended-key-usage-critical": usage.extended_key_usage_critical,
        "ca": usage.ca,
        "path-length": usage.path_length,
        "permitted-names": list(usage.permitted_names),
        "excluded-names": list(usage.excluded_names),
    }


def _subject_table(rules: SubjectRules) -> dict[str, object]:
    fixed: dict[str, list[str]] = {}
    for short, value in rules.fixed:
        fixed.setdefault(short, []).append(value)
    return {
        "from-request": list(rules.from_request),
        "fixed": {
            short: values[0] if len(values) == 1 else values for short, values in fixed.items()
        },
        "required": list(rules.required),
        "common-name": rules.common_name,
    }


def _names_table(template: Template) -> dict[str, object]:
    kinds = {
        rules.kind: {
            "allow": list(rules.allow),
            "deny": list(rules.deny),
            "wildcards": rules.wildcards,
            "single-labels": rules.single_labels,
        }
        for rules in template.names
    }
    return {"required": template.names_required, "limit": template.names_limit, **kinds}


def _extensions_table(rules: ExtensionRules) -> dict[str, object]:
    return {
        "issuer-url": rules.issuer_url,
        "ocsp-url": rules.ocsp_url,
        "crl-url": rules.crl_url,
        "custom-issuer-urls": list(rules.custom_issuer_urls),
        "custom-ocsp-urls": list(rules.custom_ocsp_urls),
        "custom-crl-urls": list(rules.custom_crl_urls),
        "policies": list(rules.policies),
        "cps-url": rules.cps_url,
        "must-staple": rules.must_staple,
        "ocsp-no-check": rules.ocsp_no_check,
    }


def _renewal_table(rules: RenewalRules) -> dict[str, object]:
    return {
        "allowed": rules.allowed,
        "window": None if rules.window is None else write_duration(rules.window),
        "copy-names": rules.copy_names,
        "revoke-old": rules.revoke_old,
    }


def _scep_table(rules: ScepRules) -> dict[str, object]:
    return {
        "enabled": rules.enabled,
        "compatibility": sorted(rules.compatibility),
        "include-root": rules.include_root,
    }


def _est_table(rules: EstRules) -> dict[str, object]:
    return {
        "server-keys": rules.server_keys,
        "full-cmc": rules.full_cmc,
        "possession-linking": rules.possession_linking,
        "self-revocation": rules.self_revocation,
    }


def _without_none(table: dict[str, object]) -> dict[str, object]:
    # TOML has no null: what is not set is not written.
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
