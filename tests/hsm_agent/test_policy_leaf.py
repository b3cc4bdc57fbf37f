"""Leaf certificates: what an issuing key signs, and what a stolen server does not get."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsm_agent.policy.starter import starter
from hsm_agent.policy.verdicts import Allowed
from pikaserver.testing.damage import altered
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent, refuses
from tests.hsm_agent.made_structures import DAY, NOW, leaf, rules

ANY_PURPOSE = x509.ObjectIdentifier("2.5.29.37.0")


@pytest.fixture
def agent():
    """An issuing key under the starter's rules, for example.com."""
    return Agent(starter("test", dns=["example.com"]))


def test_an_ordinary_certificate_is_signed(agent):
    """Its facts are what the journal and people are told."""
    verdict = agent.ask(leaf())

    assert isinstance(verdict, Allowed)
    assert {
        "kind": "cert",
        "serial": "102030405060708090a",
        "subject": "CN=a leaf",
        "names": "dns:www.example.com",
        "not-before": "2026-11-22T11:55:00+00:00",
        "not-after": "2027-02-20T12:00:00+00:00",
        "subject-key": "ec-p256",
        "key-usage": "digitalSignature",
        "extended-key-usage": "serverAuth",
    } == verdict.facts


def test_the_identical_certificate_is_signed_again(agent):
    """A retry is safe: the same octets give the same certificate."""
    first, again = agent.ask(leaf()), agent.ask(leaf())

    assert isinstance(first, Allowed)
    assert isinstance(again, Allowed)


def test_a_serial_is_never_used_for_another_certificate(agent):
    """Two certificates with one serial cannot be revoked apart."""
    agent.ask(leaf())

    refuses(agent, leaf(not_after=NOW + 80 * DAY), "belongs to another certificate")


@pytest.mark.parametrize("serial", [1, (1 << 159) - 1])
def test_serials_of_one_to_twenty_octets_are_signed(agent, serial):
    """RFC 5280 section 4.1.2.2."""
    assert isinstance(agent.ask(leaf(serial=serial)), Allowed)


@pytest.mark.parametrize("usage", [("key_cert_sign",), ("digital_signature", "key_cert_sign")])
def test_key_cert_sign_makes_it_a_ca_certificate(agent, usage):
    """With or without CA:TRUE an issuing key does not sign it."""
    verdict = agent.ask(leaf(usage=usage))

    assert ("kind", "ca-cert") == (verdict.code, verdict.facts["kind"])


def test_a_ca_certificate_is_refused(agent):
    """The kind is not allowed, whatever else is right."""
    verdict = agent.ask(made.ca())

    assert "kind" == verdict.code
    assert "ca-cert" in verdict.why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": made.name("CN=Issuing CA 2,O=Example")}, "issuer is not the subject"),
        ({"issuer": made.name("O=Example,CN=Issuing CA 1")}, "issuer is not the subject"),
        ({"not_after": NOW + 3650 * DAY}, "longer than max-validity"),
        ({"not_after": NOW + 825 * DAY + timedelta(minutes=2)}, "longer than max-validity"),
        ({"not_before": NOW - timedelta(hours=49)}, "longer ago than max-backdate"),
        (
            {"not_before": NOW + 3000 * DAY, "not_after": NOW + 3001 * DAY},
            "longer than max-validity",
        ),
        ({"public_key": made.CA_KEY.public_key()}, "over the signing key itself"),
        ({"usage": ("digital_signature", "crl_sign")}, "cRLSign is not allowed"),
        ({"usage": ("data_encipherment",)}, "dataEncipherment is not allowed"),
        ({"usage": ("key_agreement", "encipher_only")}, "encipherOnly is not allowed"),
        ({"usage": None}, "no keyUsage"),
        ({"purposes": None}, "no extended key usage"),
        ({"purposes": (ANY_PURPOSE,)}, "anyExtendedKeyUsage is not allowed"),
        (
            {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON)},
            "msSmartcardLogon is not allowed",
        ),
        ({"purposes": (x509.ObjectIdentifier("1.2.3.4"),)}, "1.2.3.4 is not allowed"),
        (
            {"public_key": ec.derive_private_key(5, ec.SECP256K1()).public_key()},
            "ec-secp256k1, which is not allowed",
        ),
    ],
)
def test_a_certificate_that_a_rule_forbids_is_refused(agent, changes, why):
    """Each of these is within the words of the protocol and not within the policy."""
    refuses(agent, leaf(**changes), why)


def test_limits_are_met_exactly(agent):
    """The very last moment is allowed; clocks may be a minute apart."""
    for serial, end in enumerate((825 * DAY, 825 * DAY + timedelta(minutes=1)), start=1):
        assert isinstance(agent.ask(leaf(serial=serial, not_after=NOW + end)), Allowed)
    begin = NOW - timedelta(hours=48, minutes=1)
    assert isinstance(agent.ask(leaf(serial=3, not_before=begin)), Allowed)


def test_nothing_outlives_its_issuer():
    """Unless the policy says so: the option is there for odd chains."""
    body = "[profiles.issuing.cert]\nmax-validity = '20y'\ndns = ['*']\n"
    body += "extended-key-usage = ['serverAuth']\n"
    long = leaf(not_after=NOW + 3001 * DAY)

    refuses(Agent(rules(["cert"], body)), long, "longer than its issuer")
    relaxed = Agent(rules(["cert"], body + "not-after-issuer = false"))
    assert isinstance(relaxed.ask(long), Allowed)


@pytest.mark.parametrize(
    "private",
    [
        ec.derive_private_key(5, ec.SECP384R1()),
        ec.derive_private_key(5, ec.SECP521R1()),
        made.ED25519_KEY,
        ed448.Ed448PrivateKey.from_private_bytes(bytes(57)),
        mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32)),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p384", "p521", "ed25519", "ed448", "ml-dsa-65", "rsa-2048"],
)
def test_all_good_kinds_of_keys_are_certified(agent, private):
    """ML-DSA among them; the starter names none of them, so the defaults count."""
    assert isinstance(agent.ask(leaf(public_key=private.public_key())), Allowed)


def test_only_listed_kinds_of_keys_are_certified():
    """By name, and RSA from a number of bits on."""
    body = "[profiles.issuing.cert]\ndns = ['*']\nextended-key-usage = ['*']\n"
    agent = Agent(rules(["cert"], body + "subject-keys = ['rsa>=3072']"))

    refuses(agent, leaf(), "ec-p256, which is not allowed")
    weak = rsa.generate_private_key(65537, 2048).public_key()
    refuses(agent, leaf(public_key=weak), "rsa-2048, which is not allowed")


@pytest.mark.parametrize("field", ["point", "exponent", "modulus"])
def test_keys_that_are_none_are_not_certified(agent, field):
    """A point off its curve, an even modulus, an exponent of one."""
    tbs = leaf()
    if field == "point":
        broken = altered(made.LEAF_SPKI)
        tbs = tbs.replace(made.LEAF_SPKI, broken)
    else:
        public = rsa.generate_private_key(65537, 2048).public_key()
        tbs = leaf(public_key=public)
        if field == "exponent":
            tbs = tbs.replace(b"\x02\x03\x01\x00\x01", b"\x02\x03\x01\x00\x02")
        else:
            modulus = public.public_numbers().n.to_bytes(256, "big")
            tbs = tbs.replace(modulus, altered(modulus))

    refuses(agent, tbs, "none to certify")


def test_subjects_can_be_restricted():
    """RDN by RDN; a comma in a value does not make two of it."""
    body = "[profiles.issuing.cert]\ndns = ['*']\nextended-key-usage = ['*']\n"
    agent = Agent(rules(["cert"], body + "subjects = ['CN=*,O=Example']"))

    good = leaf(subject=made.name("CN=a leaf,O=Example"))
    assert isinstance(agent.ask(good), Allowed)
    for text in ("CN=a", "O=Example,CN=a", "CN=a,OU=b,O=Example", r"CN=a\,O=Example", "O=Example"):
        refuses(agent, leaf(serial=9, subject=made.name(text)), "is not allowed")


def test_without_its_own_certificate_a_key_issues_nothing():
    """It does not know its own name yet."""
    refuses(Agent(issuer=None), leaf(), "no certificate yet")


def test_a_key_whose_certificate_is_no_authority_issues_nothing():
    """That of an OCSP responder, for example."""
    own = made.Made(public_key=made.CA_KEY.public_key()).signed(made.OTHER_KEY)

    refuses(Agent(issuer=own), leaf(), "not that of an authority")


def test_a_certificate_over_another_key_is_not_this_keys():
    """Whoever mixes up certificates signs nothing, rather than something wrong."""
    other = made.Made(issuer=made.CA_NAME).signed()

    refuses(Agent(issuer=other), leaf(), "over another key")
    refuses(Agent(issuer=b"x"), leaf(), "cannot be read")
