"""The format ``apple``: a certificate that Apple's servers made for a key of the Secure Enclave."""

import hashlib
from datetime import datetime
from hmac import compare_digest

from cryptography import x509

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import OCTET_STRING, read_element
from pikaserver_acme.validation.attempt import Failed, printable
from pikaserver_acme.validation.attestation.anchors import anchors
from pikaserver_acme.validation.attestation.evidence import Evidence
from pikaserver_acme.validation.attestation.identities import public_key
from pikaserver_acme.validation.attestation.statements import Statement
from pikaserver_acme.validation.question import Question

_ARC = "1.2.840.113635.100.8."
_SERIAL, _UDID, _SEP_VERSION, _NONCE = (
    x509.ObjectIdentifier(f"{_ARC}{number}") for number in ("9.1", "9.2", "10.2", "11.1")
)
_TEXTS = frozenset({0x0C, 0x13, 0x16})
"""UTF8String, PrintableString, IA5String: where a value is not bare."""


def evidence(statement: Statement, question: Question, now: datetime) -> Evidence:
    """Return what the attestation proves.

    Its nonce is the SHA-256 of the token: Apple's servers know no account.

    Raises:
        Failed: it proves nothing, or belongs to another challenge.
    """
    trusted = anchors("apple", question.limits.attestation_roots.get("apple", ()))
    leaf = trusted.leaf(statement.certificates(), now)
    told = {
        one.oid: one.value.value
        for one in leaf.extensions
        if isinstance(one.value, x509.UnrecognizedExtension)
    }
    nonce = _bare(told.get(_NONCE, b""), frozenset({OCTET_STRING}))
    if not compare_digest(nonce, hashlib.sha256(question.token.encode()).digest()):
        why = "the attestation is not fresh: its nonce is not that of this challenge's token"
        raise Failed("badAttestationStatement", why)
    serial, udid, version = (_text(told.get(oid)) for oid in (_SERIAL, _UDID, _SEP_VERSION))
    facts = {"serial": serial, "udid": udid, "sep_version": version}
    return Evidence(public_key(leaf), tuple(one for one in (serial, udid) if one), facts={**facts})


def _text(octets: bytes | None) -> str:
    if octets is None:
        return ""
    return printable(_bare(octets, _TEXTS).decode("utf-8", "replace"))


def _bare(octets: bytes, tags: frozenset[int]) -> bytes:
    """Return the content of an element, or octets that are none as they stand."""
    try:
        found = read_element(octets, 0)
    except MalformedRequest:
        return octets
    if found.tag in tags and found.end == len(octets):
        return octets[found.start : found.end]
    return octets
