"""Lints: what is checked on a draft, with a dummy signature, before the key is used."""

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.issuance import Lint, Severity
from pikaserver.api.operations import Clock
from pikaserver.authority.lints import (
    alternative_names,
    constraints,
    fields,
    key_identifiers,
    keys,
    pointers,
    private_authority,
    related,
    subject,
    usage,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one lint said: its class name, the section that it cites, and one sentence."""

    lint: str
    citation: str
    severity: Severity
    text: str


def lint(
    draft: x509.Certificate, issuer: x509.Certificate | None, lints: Iterable[Lint]
) -> tuple[Finding, ...]:
    """Return what the lints find, errors first; an error stops the issuance.

    Args:
        draft: the certificate to be, with a dummy signature.
        issuer: the certificate above, ``None`` for a self-signed draft.
        lints: the built-in ones and those of plugins.
    """
    findings = []
    for each in lints:
        text = each.check(draft, issuer)
        if text is not None:
            findings.append(Finding(type(each).__name__, each.citation, each.severity, text))
    return tuple(sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR))


def built_in_lints(clock: Clock) -> tuple[Lint, ...]:
    """Return the lints that ship: RFC 5280, those of key types, and some of the CA/B Forum's."""
    return (
        *fields.LINTS,
        *subject.LINTS,
        *alternative_names.LINTS,
        *key_identifiers.LINTS,
        *constraints.LINTS,
        *usage.LINTS,
        *pointers.LINTS,
        *keys.LINTS,
        *related.LINTS,
        *private_authority.LINTS,
        private_authority.NotBeforeIsNow(clock),
    )
