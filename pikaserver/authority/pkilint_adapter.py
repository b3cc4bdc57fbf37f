"""The lints of pkilint for RFC 5280, where that package is installed.

They take a third of a second: for commands, jobs and tests, never for the request path.
Import this module only when pkilint is there: ``pip install pikaserver[lint]``.
"""

from functools import cache

from pkilint import loader, validation
from pkilint.pkix import certificate, extension, name

from pikaserver.api.issuance import Severity
from pikaserver.authority.linting import Finding


def pkilint(der: bytes) -> tuple[Finding, ...]:
    """Return what pkilint finds in a certificate; notices and below are left out."""
    document = loader.RFC5280CertificateDocumentLoader().load_der_document(der)
    return tuple(
        _finding(result, description)
        for result in _validators().validate(document.root)
        for description in result.finding_descriptions
        if description.finding.severity <= validation.ValidationFindingSeverity.WARNING
    )


@cache
def _validators() -> validation.ValidatorContainer:
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def _finding(
    result: validation.ValidationResult, description: validation.ValidationFindingDescription
) -> Finding:
    warning = description.finding.severity is validation.ValidationFindingSeverity.WARNING
    return Finding(
        lint=description.finding.code,
        citation="pkilint",
        severity=Severity.WARNING if warning else Severity.ERROR,
        text=f"{description.message or description.finding.code} at {result.node.path}",
    )
