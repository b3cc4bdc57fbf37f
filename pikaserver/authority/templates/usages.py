"""Key usages and extended key usages by their RFC names, and which keys can do which."""

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from cryptography import x509

KEY_USAGES: Mapping[str, str] = MappingProxyType(
    {
        "digitalSignature": "digital_signature",
        "nonRepudiation": "content_commitment",
        "keyEncipherment": "key_encipherment",
        "dataEncipherment": "data_encipherment",
        "keyAgreement": "key_agreement",
        "keyCertSign": "key_cert_sign",
        "cRLSign": "crl_sign",
        "encipherOnly": "encipher_only",
        "decipherOnly": "decipher_only",
    }
)
"""The bits of RFC 5280 section 4.2.1.3 and what cryptography calls them."""

SIGNING_USAGES = frozenset({"digitalSignature", "nonRepudiation", "keyCertSign", "cRLSign"})
"""All that a signing-only key can do: RFC 8410 section 5 with RFC 9295, RFC 9881 section 5."""

_RSA_USAGES = SIGNING_USAGES | {"keyEncipherment", "dataEncipherment"}
_EC_USAGES = SIGNING_USAGES | {"keyAgreement", "encipherOnly", "decipherOnly"}

EXTENDED_KEY_USAGES: Mapping[str, str] = MappingProxyType(
    {
        "serverAuth": "1.3.6.1.5.5.7.3.1",
        "clientAuth": "1.3.6.1.5.5.7.3.2",
        "codeSigning": "1.3.6.1.5.5.7.3.3",
        "emailProtection": "1.3.6.1.5.5.7.3.4",
        "ipsecEndSystem": "1.3.6.1.5.5.7.3.5",
        "ipsecTunnel": "1.3.6.1.5.5.7.3.6",
        "ipsecUser": "1.3.6.1.5.5.7.3.7",
        "timeStamping": "1.3.6.1.5.5.7.3.8",
        "OCSPSigning": "1.3.6.1.5.5.7.3.9",
        "eapOverPPP": "1.3.6.1.5.5.7.3.13",
        "eapOverLAN": "1.3.6.1.5.5.7.3.14",
        "ipsecIKE": "1.3.6.1.5.5.7.3.17",
        "sipDomain": "1.3.6.1.5.5.7.3.20",
        "secureShellClient": "1.3.6.1.5.5.7.3.21",
        "secureShellServer": "1.3.6.1.5.5.7.3.22",
        "cmcCA": "1.3.6.1.5.5.7.3.27",
        "cmcRA": "1.3.6.1.5.5.7.3.28",
        "documentSigning": "1.3.6.1.5.5.7.3.36",
        "pkinitClientAuth": "1.3.6.1.5.2.3.4",
        "pkinitKDC": "1.3.6.1.5.2.3.5",
        "msSmartcardLogon": "1.3.6.1.4.1.311.20.2.2",
        "msDocumentSigning": "1.3.6.1.4.1.311.10.3.12",
        "msEncryptingFileSystem": "1.3.6.1.4.1.311.10.3.4",
        "anyExtendedKeyUsage": "2.5.29.37.0",
    }
)
"""Names for extended key usages; any other is written as its dotted OID."""

_NAMES = {oid: name for name, oid in EXTENDED_KEY_USAGES.items()}

DOTTED_OID = re.compile(r"[012](\.(0|[1-9][0-9]{0,15})){1,30}", re.ASCII)
"""An object identifier in dots and digits."""

# RFC 5280 section 4.2.1.12 names the key usages that go with each purpose.
CONSISTENT_USAGES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "serverAuth": frozenset({"digitalSignature", "keyEncipherment", "keyAgreement"}),
        "clientAuth": frozenset({"digitalSignature", "keyAgreement"}),
        "codeSigning": frozenset({"digitalSignature"}),
        "emailProtection": frozenset(
            {"digitalSignature", "nonRepudiation", "keyEncipherment", "keyAgreement"}
        ),
        "timeStamping": frozenset({"digitalSignature", "nonRepudiation"}),
        "OCSPSigning": frozenset({"digitalSignature", "nonRepudiation"}),
    }
)
"""Of the key usages given here at least one must be there for the extended usage to be of use."""


def usages_of(key_type: str) -> frozenset[str]:
    """Return the key usages that a key of this type can serve.

    RSA: RFC 3279 section 2.3.1; EC: RFC 5480 section 3 with RFC 8813; ML-KEM: RFC 9935
    section 5; the others only sign.
    """
    if key_type.startswith("ml-kem-"):
        return frozenset({"keyEncipherment"})
    if key_type.startswith("rsa-"):
        return _RSA_USAGES
    if key_type.startswith("ec-"):
        return _EC_USAGES
    return SIGNING_USAGES


_SECTIONS = {
    "composite-": "draft-ietf-lamps-pq-composite-sigs-19 section 5",
    "ml-dsa-": "RFC 9881 section 5",
    "slh-dsa-": "RFC 9909 section 6",
    "ml-kem-": "RFC 9935 section 5",
    "rsa-": "RFC 3279 section 2.3.1",
    "ec-": "RFC 5480 section 3",
    "ed": "RFC 8410 section 5",
}


def usage_sections(key_type: str) -> list[str]:
    """Return where it stands what keys of a type can do."""
    return [section for prefix, section in _SECTIONS.items() if key_type.startswith(prefix)]


def key_usage(wanted: Collection[str], key_type: str) -> x509.KeyUsage | None:
    """Return the wanted usages that a key of this type can serve, or ``None`` for none wanted.

    So one template serves RSA, EC and ML-DSA keys: ``keyEncipherment`` goes into the
    certificates of RSA keys only, ``keyAgreement`` into those of EC keys only.
    """
    possible = usages_of(key_type).intersection(wanted)
    if not possible:
        return None
    return x509.KeyUsage(**{field: name in possible for name, field in KEY_USAGES.items()})


def extended_key_usage_oid(text: str) -> str | None:
    """Return the dotted OID of a name or of a dotted OID, ``None`` when it is neither."""
    if DOTTED_OID.fullmatch(text):
        return text
    return EXTENDED_KEY_USAGES.get(text)


def extended_key_usage_name(oid: str) -> str:
    """Return the name of an extended key usage, or its dotted OID."""
    return _NAMES.get(oid, oid)
