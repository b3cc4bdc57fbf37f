"""Names of extended key usages and extensions, as RFC 5280 and others write them."""

from collections.abc import Mapping
from types import MappingProxyType

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "serverAuth": "1.3.6.1.5.5.7.3.1",
        "clientAuth": "1.3.6.1.5.5.7.3.2",
        "codeSigning": "1.3.6.1.5.5.7.3.3",
        "emailProtection": "1.3.6.1.5.5.7.3.4",
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
"""Extended key usages by name; any other is written as its dotted OID."""

EXTENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "subjectKeyIdentifier": "2.5.29.14",
        "keyUsage": "2.5.29.15",
        "subjectAltName": "2.5.29.17",
        "issuerAltName": "2.5.29.18",
        "basicConstraints": "2.5.29.19",
        "nameConstraints": "2.5.29.30",
        "cRLDistributionPoints": "2.5.29.31",
        "certificatePolicies": "2.5.29.32",
        "policyMappings": "2.5.29.33",
        "authorityKeyIdentifier": "2.5.29.35",
        "policyConstraints": "2.5.29.36",
        "extKeyUsage": "2.5.29.37",
        "freshestCRL": "2.5.29.46",
        "inhibitAnyPolicy": "2.5.29.54",
        "authorityInfoAccess": "1.3.6.1.5.5.7.1.1",
        "subjectInfoAccess": "1.3.6.1.5.5.7.1.11",
        "tlsFeature": "1.3.6.1.5.5.7.1.24",
        "ocspNoCheck": "1.3.6.1.5.5.7.48.1.5",
        "signedCertificateTimestamps": "1.3.6.1.4.1.11129.2.4.2",
        "msTemplateName": "1.3.6.1.4.1.311.20.2",
        "msTemplate": "1.3.6.1.4.1.311.21.7",
        "msSecurityIdentifier": "1.3.6.1.4.1.311.25.2",
    }
)
"""Extensions by name; any other is written as its dotted OID."""
