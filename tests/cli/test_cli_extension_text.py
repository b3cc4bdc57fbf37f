"""Extensions are told in words that people know."""

from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pikaserver.authority.templates.usages import KEY_USAGES
from pikaserver.cli.cert.extension_text import extension_texts


def usage(*wanted):
    return x509.KeyUsage(**{field: name in wanted for name, field in KEY_USAGES.items()})


URL = x509.UniformResourceIdentifier("http://pki.example/x")
CASES = [
    (x509.BasicConstraints(ca=False, path_length=None), "basic_constraints", "not a CA"),
    (x509.BasicConstraints(ca=True, path_length=None), "basic_constraints", "a CA"),
    (x509.BasicConstraints(ca=True, path_length=0), "basic_constraints", "a CA, path length 0"),
    (usage("keyCertSign", "cRLSign"), "key_usage", "keyCertSign, cRLSign"),
    (usage("keyAgreement", "decipherOnly"), "key_usage", "keyAgreement, decipherOnly"),
    (
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier("1.2.3")]),
        "extended_key_usage",
        "serverAuth, 1.2.3",
    ),
    (x509.SubjectAlternativeName([URL]), "subject_alternative_names", "uri:http://pki.example/x"),
    (x509.IssuerAlternativeName([URL]), "issuer_alternative_names", "uri:http://pki.example/x"),
    (x509.SubjectKeyIdentifier(b"\x01\xab"), "subject_key_identifier", "01ab"),
    (x509.AuthorityKeyIdentifier(b"\x02", None, None), "authority_key_identifier", "02"),
    (
        x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(AuthorityInformationAccessOID.OCSP, URL),
                x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, URL),
                x509.AccessDescription(x509.ObjectIdentifier("1.2.3"), URL),
            ]
        ),
        "authority_information_access",
        "OCSP at {0}, issuer at {0}, 1.2.3 at {0}".format("http://pki.example/x"),
    ),
    (
        x509.CRLDistributionPoints([x509.DistributionPoint([URL], None, None, None)]),
        "crl_distribution_points",
        "http://pki.example/x",
    ),
    (
        x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["https://pki.example/cps"])]
        ),
        "certificate_policies",
        "1.2.3 (see https://pki.example/cps)",
    ),
    (
        x509.NameConstraints(
            [x509.DNSName("a.example")], [x509.IPAddress(ip_network("10.0.0.0/8"))]
        ),
        "name_constraints",
        "permitted dns:a.example; excluded ip:10.0.0.0/8",
    ),
    (x509.TLSFeature([x509.TLSFeatureType.status_request]), "tls_feature", "must-staple"),
    (x509.OCSPNoCheck(), "ocsp_no_check", "its own status is not asked for"),
    (x509.InhibitAnyPolicy(1), "2.5.29.54", "020101"),
    (
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(41)),
        "1.2.3",
        "00" * 40 + "...",
    ),
]


@pytest.mark.parametrize(("value", "name", "text"), CASES, ids=lambda one: type(one).__name__)
def test_an_extension_is_told(value, name, text):
    """Critical ones are marked."""
    plain = extension_texts([x509.Extension(value.oid, critical=False, value=value)])
    critical = extension_texts([x509.Extension(value.oid, critical=True, value=value)])

    assert {name: text} == plain
    assert {name: f"{text} (critical)"} == critical
