"""Extensions of leaf certificates: which there may be, and what they may say."""

import pytest
from cryptography import x509

from hsm_agent.policy.starter import starter
from hsm_agent.policy.verdicts import Allowed
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent, refuses
from tests.hsm_agent.made_structures import leaf, rules


@pytest.fixture
def agent():
    """An issuing key under the starter's rules, for example.com."""
    return Agent(starter("test", dns=["example.com"]))


@pytest.mark.parametrize(
    "identifier",
    [
        None,
        made.CA_IDENTIFIER,
        x509.AuthorityKeyIdentifier(
            made.CA_IDENTIFIER.key_identifier,
            [x509.DirectoryName(made.AUTHORITY.issuer)],
            made.AUTHORITY.serial,
        ),
    ],
)
def test_the_authority_key_identifier_may_name_this_key(agent, identifier):
    """By key, and by issuer and serial of its certificate."""
    assert isinstance(agent.ask(leaf(key_identifier=identifier)), Allowed)


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        (x509.AuthorityKeyIdentifier(bytes(20), None, None), "not that of this key"),
        (
            x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(made.AUTHORITY.issuer)], 77),
            "another certificate of the issuer",
        ),
        (
            x509.AuthorityKeyIdentifier(
                None, [x509.DirectoryName(made.CA_NAME)], made.AUTHORITY.serial
            ),
            "another issuer",
        ),
        (
            x509.AuthorityKeyIdentifier(None, [x509.DNSName("a")], made.AUTHORITY.serial),
            "another issuer",
        ),
    ],
)
def test_the_authority_key_identifier_names_no_other_key(agent, identifier, why):
    """RFC 5280 section 4.2.1.1."""
    refuses(agent, leaf(key_identifier=identifier), why)


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"), False), "1.2.3.4"),
        (
            (
                x509.UnrecognizedExtension(
                    x509.ObjectIdentifier("1.3.6.1.4.1.311.25.2"), b"\x30\0"
                ),
                False,
            ),
            "msSecurityIdentifier is not allowed",
        ),
        ((x509.PrecertPoison(), True), "1.3.6.1.4.1.11129.2.4.3 is not allowed"),
        ((x509.PolicyConstraints(0, None), True), "policyConstraints is not allowed"),
        ((x509.OCSPNoCheck(), True), "ocspNoCheck may not be critical"),
    ],
)
def test_extensions_that_are_not_listed_are_refused(agent, extension, why):
    """A security identifier of Windows in a certificate is somebody's whole account."""
    refuses(agent, leaf(more=(extension,)), why)


def test_the_usual_extensions_are_signed(agent):
    """All that the server writes into certificates."""
    policies = [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), ["http://cps.example"])]
    url = x509.UniformResourceIdentifier("http://a.example/")
    more = (
        (x509.CertificatePolicies(policies), False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)]), False),
        (
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(x509.oid.AuthorityInformationAccessOID.OCSP, url)]
            ),
            False,
        ),
        (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
        (x509.OCSPNoCheck(), False),
    )

    assert isinstance(agent.ask(leaf(more=more)), Allowed)


def test_extensions_can_be_listed_by_oid():
    """Those that are listed are signed as they are; nobody here can read them."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x")
    body = "[profiles.issuing.cert]\ndns = ['*']\nextended-key-usage = ['*']\n"
    body += "extensions = ['*']\nkey-usage = ['*']\n"
    listed = "critical-extensions = ['basicConstraints', 'keyUsage', '1.2.3.4']"

    assert isinstance(Agent(rules(["cert"], body)).ask(leaf(more=((unknown, False),))), Allowed)
    refuses(Agent(rules(["cert"], body)), leaf(more=((unknown, True),)), "may not be critical")
    critical = Agent(rules(["cert"], body + listed))
    assert isinstance(critical.ask(leaf(more=((unknown, True),))), Allowed)
