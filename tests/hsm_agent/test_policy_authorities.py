"""CA certificates: with approval, within limits; the first one of a root gives nobody anything."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsm_agent.policy.own_certificate import NotOurs, check_own_certificate
from hsm_agent.policy.verdicts import Allowed, Approval, Denied, NeedsApproval
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.made_structures import DAY, NOW, ca, root, rules

LOCAL = Approval(1, ("local",))
FREE = "[profiles.issuing.ca-cert]\napproval = 'none'\n"


def constraints(length):
    """Return basicConstraints of an authority."""
    return x509.BasicConstraints(ca=True, path_length=length)


def test_a_ca_certificate_needs_approval():
    """What there is to approve is told in words; without approval nothing is remembered."""
    agent = Agent(profile="root")

    verdict = agent.ask(ca(constraints=constraints(0)))

    assert isinstance(verdict, NeedsApproval)
    assert LOCAL == verdict.threshold
    assert ("ca-cert", "CN=Sub CA,O=Example", "0") == tuple(
        verdict.facts[name] for name in ("kind", "subject", "path-length")
    )
    assert [] == agent.memory.signed


def test_an_approved_ca_certificate_is_signed_again():
    """The identical octets need no second approval; others do."""
    agent = Agent(profile="root")
    agent.approve(ca())

    assert isinstance(agent.ask(ca()), Allowed)
    assert isinstance(agent.ask(ca(serial=99)), NeedsApproval)


def test_a_threshold_names_its_approvers():
    """Two of three, one of them at the host."""
    blob = "uh5n4CqeYxqVtJxCcM5Tr1H3Vv2vLJmXyC0tV3d2c1A="
    body = "[profiles.issuing.ca-cert]\napproval = { need = 2, of = ['a', 'b', 'local'] }\n"
    body += f"[approvers.a]\ned25519 = '{blob}'\n[approvers.b]\ned25519 = 'A{blob[1:]}'\n"

    verdict = Agent(rules(["ca-cert"], body)).ask(ca())

    assert Approval(2, ("a", "b", "local")) == verdict.threshold


@pytest.mark.parametrize(
    ("changes", "body", "why"),
    [
        ({"issuer": made.name("CN=Other")}, "", "issuer is not the subject"),
        ({"public_key": made.CA_KEY.public_key()}, "", "has to be self-signed"),
        ({"not_after": NOW + 2000 * DAY}, "max-validity = '5y'\n", "longer than max-validity"),
        ({"not_after": NOW + 3001 * DAY}, "", "longer than its issuer"),
        ({"constraints": made.NO_CA}, "", "not marked as a CA"),
        ({"constraints": None}, "", "not marked as a CA"),
        ({}, "max-path-length = 0\n", "path length is open, over 0"),
        ({"constraints": constraints(2)}, "max-path-length = 1\n", "path length is 2, over 1"),
        ({}, "subjects = ['CN=Issuing *,O=Example']\n", "subject 'CN=Sub CA,O=Example'"),
        ({}, "name-constraints = ['dns:example.com']\n", "no critical name constraints"),
        ({"usage": (*made.CA_USAGE, "key_encipherment")}, "", "keyEncipherment is not allowed"),
        ({"usage": None}, "", "no keyUsage"),
        (
            {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "extended-key-usage = ['clientAuth']\n",
            "serverAuth is not allowed",
        ),
        ({}, "extended-key-usage = ['clientAuth']\n", "no extended key usage"),
        (
            {"names": (x509.DNSName("www.example.com"),)},
            "",
            "subjectAltName is not allowed",
        ),
        ({}, "subject-keys = ['ec-p384']\n", "ec-p256, which is not allowed"),
    ],
)
def test_a_ca_certificate_that_a_rule_forbids_is_refused(changes, body, why):
    """Before anybody is asked for approval."""
    verdict = Agent(rules(["ca-cert"], FREE + body)).ask(ca(**changes))

    assert isinstance(verdict, Denied)
    assert why in verdict.why


def test_a_ca_certificate_within_its_limits_is_signed():
    """Where the policy asks for no approval."""
    body = "max-path-length = 1\nsubjects = ['CN=Sub *,O=Example']\n"
    body += "extended-key-usage = ['serverAuth']\n"
    tbs = ca(constraints=constraints(1), purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))

    assert isinstance(Agent(rules(["ca-cert"], FREE + body)).ask(tbs), Allowed)


@pytest.mark.parametrize(
    ("own", "below", "allowed"), [(0, 0, False), (1, 0, True), (1, 1, False), (1, None, False)]
)
def test_the_path_below_is_shorter_than_the_own_one(own, below, allowed):
    """RFC 5280 section 4.2.1.9."""
    certificate = replace(made.AUTHORITY, constraints=constraints(own)).signed(made.OTHER_KEY)
    agent = Agent(rules(["ca-cert"], FREE), issuer=certificate)

    assert allowed is isinstance(agent.ask(ca(constraints=constraints(below))), Allowed)


def limits(*permitted, critical=True):
    """Return a nameConstraints extension."""
    return ((x509.NameConstraints(list(permitted), None), critical),)


WIDE = x509.IPAddress(ip_network("2001:db8::/32"))
WANTED = "name-constraints = ['dns:example.com', 'ip:10.0.0.0/8', 'email:example.com']\n"
HOSTS = x509.DNSName("sub.example.com")
NETWORK = x509.IPAddress(ip_network("10.1.0.0/16"))
MAILS = x509.RFC822Name("example.com")


def test_name_constraints_of_all_forms():
    """Networks of IPv6 and hosts of URIs as well."""
    wanted = "name-constraints = ['ip:2001:db8::/32', 'uri:example.com']\n"
    good = limits(WIDE, x509.UniformResourceIdentifier(".example.com"))
    agent = Agent(rules(["ca-cert"], FREE + wanted))

    assert isinstance(agent.ask(ca(more=good)), Allowed)
    bad = limits(WIDE, x509.UniformResourceIdentifier(".evil.test"))
    assert "uri:.evil.test" in agent.ask(ca(serial=2, more=bad)).why


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        (limits(HOSTS, NETWORK, MAILS), True),
        (limits(x509.DNSName("example.com"), NETWORK, x509.RFC822Name("a@example.com")), True),
        (limits(HOSTS, NETWORK, MAILS, critical=False), False),
        (limits(HOSTS, NETWORK), False),
        (limits(HOSTS, NETWORK, MAILS, x509.DNSName("evilexample.com")), False),
        (limits(HOSTS, MAILS, x509.IPAddress(ip_network("10.0.0.0/7"))), False),
        (limits(HOSTS, MAILS, x509.IPAddress(ip_network("2001:db8::/32"))), False),
        (limits(HOSTS, NETWORK, x509.RFC822Name("com")), False),
    ],
)
def test_name_constraints_have_to_be_as_narrow_as_the_policy(more, allowed):
    """In each form that the policy names; they count only where they are critical."""
    verdict = Agent(rules(["ca-cert"], FREE + WANTED)).ask(ca(more=more))

    assert allowed is isinstance(verdict, Allowed)
    if allowed:
        assert "permitted-names" in verdict.facts


def test_the_first_certificate_of_a_root_needs_no_approval():
    """The same octets again do not, either; every other one does."""
    agent = Agent(profile="root", issuer=None)

    assert isinstance(agent.ask(root()), Allowed)
    assert isinstance(agent.ask(root()), Allowed)
    assert isinstance(agent.ask(root(serial=9)), NeedsApproval)


def test_with_a_certificate_a_root_needs_approval_for_every_further_one():
    """Also when this agent never signed the first one."""
    agent = Agent(profile="root")

    verdict = agent.ask(root())

    assert isinstance(verdict, NeedsApproval)
    assert "self-signed" == verdict.facts["kind"]


def test_the_first_one_can_need_approval_too():
    """For those who want to see every signature of a root."""
    body = "[profiles.issuing.self-signed]\nfirst-needs-approval = true\n"

    assert isinstance(Agent(rules(["self-signed"], body), issuer=None).ask(root()), NeedsApproval)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"not_after": NOW + 8000 * DAY}, "longer than max-validity"),
        ({"usage": ("digital_signature", "data_encipherment", "key_cert_sign")}, "dataEnciph"),
        ({"constraints": made.NO_CA}, "not marked as a CA"),
        (
            {"key_identifier": x509.AuthorityKeyIdentifier(bytes(20), None, None)},
            "not the certificate's own",
        ),
        ({"subject": made.name("CN=Other"), "issuer": made.name("CN=Other")}, "not that of"),
    ],
)
def test_a_self_signed_certificate_that_a_rule_forbids_is_refused(changes, why):
    """It is the key's own certificate, and still no other than the policy says."""
    verdict = Agent(profile="root").ask(root(**changes))

    assert isinstance(verdict, Denied)
    assert why in verdict.why


def test_the_own_key_identifier_may_be_named():
    """OpenSSL's roots carry it."""
    named = x509.AuthorityKeyIdentifier.from_issuer_public_key(made.CA_KEY.public_key())

    agent = Agent(profile="root", issuer=None)

    assert isinstance(agent.ask(root(key_identifier=named)), Allowed)


def test_a_serial_is_shared_by_all_certificates_of_a_key():
    """A leaf does not get that of a CA certificate."""
    agent = Agent(rules(["ca-cert", "cert"], FREE))
    agent.ask(ca(serial=7))

    assert "belongs to another" in agent.ask(made.leaf(serial=7)).why


CHAIN = (made.CA_CERTIFICATE, replace(made.AUTHORITY, subject=made.AUTHORITY.issuer,
         public_key=made.OTHER_KEY.public_key()).signed(made.OTHER_KEY))  # fmt: skip
OCSP_CERTIFICATE = made.Made(
    public_key=made.CA_KEY.public_key(),
    subject=made.CA_NAME,
    purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,),
).signed(made.OTHER_KEY)


@pytest.mark.parametrize("held", [None, made.CA_CERTIFICATE])
@pytest.mark.parametrize("certificates", [CHAIN, CHAIN[:1], (OCSP_CERTIFICATE,)])
def test_a_certificate_over_the_own_key_is_taken(certificates, held):
    """Of an authority, or for OCSP answers; with or without the chain."""
    check_own_certificate(made.CA_SPKI, certificates, held)


OTHER_SUBJECT = replace(made.AUTHORITY, subject=made.name("CN=Other")).signed(made.OTHER_KEY)
PLAIN = made.Made(public_key=made.CA_KEY.public_key(), subject=made.CA_NAME).signed()


@pytest.mark.parametrize(
    ("certificates", "why"),
    [
        ((), "one certificate"),
        ((made.CA_CERTIFICATE,) * 10, "one certificate"),
        ((b"x",), "cannot be read"),
        ((made.CA_CERTIFICATE + b"x",), "cannot be read"),
        ((b"\x30\2\5\0",), "cannot be read"),
        ((made.Made().signed(),), "not over this key"),
        ((PLAIN,), "none of an authority"),
        ((OTHER_SUBJECT,), "another subject"),
        ((made.CA_CERTIFICATE, made.CA_CERTIFICATE), "not signed by the next"),
    ],
)
def test_any_other_certificate_is_not_taken(certificates, why):
    """A stolen server cannot rename an authority, or give a key to somebody else."""
    with pytest.raises(NotOurs, match=why):
        check_own_certificate(made.CA_SPKI, certificates, made.CA_CERTIFICATE)
