"""The format ``tpm``: an attestation key of a TPM 2.0 certifies another key of it.

WebAuthn section 8.3 says what stands where; in place of what it has signed stands the SHA-256 of
the key authorization.
"""

import hashlib
from datetime import datetime
from hmac import compare_digest

from cryptography import x509

from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.attestation.anchors import anchors
from pikaserver_acme.validation.attestation.evidence import Evidence
from pikaserver_acme.validation.attestation.identities import (
    TPM_ATTRIBUTES,
    Identities,
    identities,
    public_key,
)
from pikaserver_acme.validation.attestation.signatures import verify
from pikaserver_acme.validation.attestation.statements import Statement
from pikaserver_acme.validation.attestation.tpm_structures import (
    read_certify_info,
    read_public_area,
    read_signature,
)
from pikaserver_acme.validation.question import Question

AIK_CERTIFICATE = x509.ObjectIdentifier("2.23.133.8.3")


def evidence(statement: Statement, question: Question, now: datetime) -> Evidence:
    """Return what the attestation proves.

    Raises:
        Failed: it proves nothing, or belongs to another challenge or account.
    """
    if statement.fields.get("ver") != "2.0":
        raise Failed("badAttestationStatement", "ver should be '2.0'")
    trusted = anchors("tpm", question.limits.attestation_roots.get("tpm", ()))
    attester = trusted.leaf(statement.certificates(), now)
    named = identities(attester)
    _check_attester(attester, named)
    certify_info = statement.octets("certInfo")
    signature = read_signature(statement.octets("sig"))
    verify(public_key(attester), statement.number("alg"), signature, certify_info)
    info = read_certify_info(certify_info)
    wanted = hashlib.sha256(question.key_authorization.encode()).digest()
    if not compare_digest(info.extra_data, wanted):
        why = "the TPM certified the key for another challenge or account"
        raise Failed("badAttestationStatement", why)
    area = read_public_area(statement.octets("pubArea"))
    if not compare_digest(info.name, area.name):
        raise Failed("badAttestationStatement", "the TPM certified another key than pubArea")
    area.check_made_there()
    return Evidence(area.key, named.permanent, named.modules, {"hardware": "TPM", **named.tpm})


def _check_attester(certificate: x509.Certificate, named: Identities) -> None:
    """Hold a certificate to WebAuthn section 8.3.1."""
    if certificate.version is not x509.Version.v3 or list(certificate.subject):
        why = "the attestation key's certificate should be of version 3, with an empty subject"
        raise Failed("badAttestationStatement", why)
    missing = set(TPM_ATTRIBUTES.values()) - named.tpm.keys()
    if missing:
        why = f"the attestation key's certificate does not tell {', '.join(sorted(missing))}"
        raise Failed("badAttestationStatement", why)
    extensions = certificate.extensions
    try:
        uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        why = f"the attestation key's certificate: {error}"
        raise Failed("badAttestationStatement", why) from error
    if AIK_CERTIFICATE not in uses or constraints.ca:
        why = "the certificate is not one for an attestation key (2.23.133.8.3)"
        raise Failed("badAttestationStatement", why)
