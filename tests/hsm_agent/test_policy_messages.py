"""Requests, signed attributes, time-stamps, proofs, raw octets; all kinds and algorithms."""

from datetime import timedelta

import pytest

from hsm_agent.policy.decide import decide
from hsm_agent.policy.verdicts import Allowed, Approval, Asked, Denied, NeedsApproval
from hsm_agent.structures.classify import classify
from hsm_agent.structures.kinds import KINDS, PROOF_LABEL
from pikaserver.asn1 import der
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent
from tests.hsm_agent.made_structures import NOW, rules

EVERY = {
    "cert": (made.leaf(), b""),
    "ca-cert": (made.ca(), b""),
    "self-signed": (made.root(), b""),
    "crl": (made.crl(), b""),
    "ocsp": (made.answer(), b""),
    "csr": (made.csr(), b""),
    "cms-attrs": (made.scep(), b""),
    "tst": (made.stamped(made.tst_info()), made.tst_info()),
    "proof": (PROOF_LABEL + bytes(32), b""),
    "raw": (bytes(32), b""),
}


@pytest.mark.parametrize("kind", EVERY)
def test_a_kind_that_is_not_listed_is_refused(kind):
    """Whatever it holds: raw octets sent to an issuing key, a CRL to a key for requests."""
    other = "csr" if kind != "csr" else "crl"

    verdict = Agent(rules([other])).ask(*EVERY[kind])

    assert [*KINDS] == [*EVERY]
    assert isinstance(verdict, Denied)
    assert ("kind", kind) == (verdict.code, verdict.facts["kind"])
    assert f"kind {kind}" in verdict.why


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    ("algorithm", "why"),
    [
        ("ecdsa-sha384", "not one of"),
        ("rsa-sha256", "not one of"),
        ("ed25519", "do not sign with"),
        ("nonsense", "not one of"),
    ],
)
def test_an_algorithm_that_is_not_allowed_or_not_the_keys_is_refused(kind, algorithm, why):
    """The list of the policy, and what the key can do."""
    verdict = Agent(rules([kind], "algorithms = ['ecdsa-sha256', 'ed25519']")).ask(
        *EVERY[kind], algorithm=algorithm
    )

    assert isinstance(verdict, Denied)
    assert why in verdict.why


@pytest.mark.parametrize("kind", ["cert", "ca-cert", "self-signed", "crl"])
def test_the_algorithm_inside_is_the_one_that_is_asked_for(kind):
    """RFC 5280 section 4.1.1.2: both fields of a certificate are alike."""
    verdict = Agent(rules([kind])).ask(*EVERY[kind], algorithm="ecdsa-sha384")

    assert isinstance(verdict, Denied)
    assert "inside it says ecdsa-sha256" in verdict.why


def test_an_algorithm_that_has_no_name_is_refused():
    """ECDSA with SHA-224 is told by its OID and never asked for."""
    tbs = made.leaf().replace(der.oid("1.2.840.10045.4.3.2"), der.oid("1.2.840.10045.4.3.1"))

    verdict = Agent().ask(tbs)

    assert "inside it says 1.2.840.10045.4.3.1" in verdict.why


def test_a_signing_key_that_nobody_can_read_signs_nothing():
    """What a broken token says of its key is not believed."""
    agent = Agent(rules(["raw"]))
    asked = Asked(bytes(32), b"x", "ed25519", bytes(32), None, NOW)

    verdict = decide(agent.rules, classify(bytes(32)), asked, agent.memory)

    assert "the signing key cannot be read" in verdict.why


@pytest.mark.parametrize("kind", ["cert", "ca-cert", "crl", "ocsp", "cms-attrs", "tst"])
def test_without_a_certificate_most_kinds_are_refused(kind):
    """Only what a key signs before it has one is signed: for itself, requests and proofs."""
    verdict = Agent(rules([kind]), issuer=None).ask(*EVERY[kind])

    assert isinstance(verdict, Denied)
    assert "no certificate yet" in verdict.why


@pytest.mark.parametrize("kind", ["self-signed", "csr", "proof", "raw"])
def test_without_a_certificate_some_kinds_are_signed(kind):
    """A request needs somebody's approval by default."""
    verdict = Agent(rules([kind]), issuer=None).ask(*EVERY[kind])

    assert isinstance(verdict, NeedsApproval if kind == "csr" else Allowed)


def test_a_request_is_for_the_own_key_and_a_listed_subject():
    """Proof of possession of another key would be a lie."""
    body = "[profiles.issuing.csr]\nsubjects = ['CN=Issuing *,O=Example']\napproval = 'none'\n"
    agent = Agent(rules(["csr"], body))

    allowed = agent.ask(made.csr())

    assert ("csr", "CN=Issuing CA 1,O=Example", "ec-p256") == tuple(
        allowed.facts[name] for name in ("kind", "subject", "subject-key")
    )
    assert "not for this key" in agent.ask(made.csr(public_key=made.LEAF_SPKI)).why
    assert "is not allowed" in agent.ask(made.csr(made.name("CN=Other"))).why


def test_a_request_waits_for_approval_by_default():
    """The starter says otherwise for its profiles."""
    assert Approval(1, ("local",)) == Agent(rules(["csr"])).ask(made.csr()).threshold
    assert isinstance(Agent().ask(made.csr()), Allowed)


def test_answers_of_scep_are_signed_and_other_messages_are_not():
    """Or the authority would sign any document as its own mail."""
    agent = Agent()

    assert isinstance(agent.ask(made.scep()), Allowed)
    for tbs in (
        made.attributes(),
        made.scep("19"),
        made.attributes("1.2.840.113549.1.7.2"),
        made.attributes(
            made.DATA, bytes(32), made.attribute("2.16.840.1.113733.1.9.2", b"\x13\x013")
        ),
    ):
        verdict = agent.ask(tbs)
        assert isinstance(verdict, Denied)
        assert "content type" in verdict.why


@pytest.mark.parametrize(
    ("types", "content_type", "allowed"),
    [
        ("['data']", made.DATA, True),
        ("['data']", "1.2.840.113549.1.7.2", False),
        ("['signedData', '1.2.3.4']", "1.2.3.4", True),
        ("['*']", "1.2.3.5", True),
        ("['*']", made.TST_INFO, False),
        ("['1.2.840.113549.1.9.16.1.4']", made.TST_INFO, False),
    ],
)
def test_content_types_are_listed(types, content_type, allowed):
    """A time-stamp is never signed without its TSTInfo, whatever the list says."""
    agent = Agent(rules(["cms-attrs"], f"[profiles.issuing.cms-attrs]\ncontent-types = {types}\n"))

    assert allowed is isinstance(agent.ask(made.attributes(content_type)), Allowed)


STAMPS = "[profiles.issuing.tst]\npolicies = ['1.2.3.4']\n"


def stamp(agent, content):
    """Ask for a time-stamp."""
    return agent.ask(made.stamped(content), content)


def test_a_time_stamp_of_now_is_signed():
    """Its facts tell policy, serial, time and imprint."""
    tsa = der.context(0, der.context(4, made.CA_NAME.public_bytes()))

    verdict = stamp(Agent(rules(["tst"], STAMPS)), made.tst_info(tsa))

    assert isinstance(verdict, Allowed)
    assert {
        "kind": "tst",
        "time-stamp": "4d",
        "gen-time": "2026-11-22T12:00:00+00:00",
        "policy": "1.2.3.4",
        "imprint": f"sha256:{bytes(32).hex()}",
    } == verdict.facts


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (made.tst_info(at=NOW + timedelta(minutes=2)), "too far"),
        (made.tst_info(at=NOW - timedelta(minutes=2)), "too far"),
        (made.tst_info(policy="1.2.3.5"), "policy 1.2.3.5"),
        (made.tst_info(hash_oid="1.2.3.6"), "imprint by 1.2.3.6"),
        (
            made.tst_info(der.context(0, der.context(4, made.name("CN=x").public_bytes()))),
            "another authority",
        ),
    ],
)
def test_a_time_stamp_that_a_rule_forbids_is_refused(content, why):
    """The agent's own clock decides."""
    verdict = stamp(Agent(rules(["tst"], STAMPS)), content)

    assert isinstance(verdict, Denied)
    assert why in verdict.why


def test_without_a_listed_policy_there_is_no_time_stamp():
    """An operator has to say for which policy the key stands."""
    assert isinstance(stamp(Agent(rules(["tst"])), made.tst_info()), Denied)
    anything = Agent(rules(["tst"], STAMPS.replace("1.2.3.4", "*")))
    assert isinstance(stamp(anything, made.tst_info()), Allowed)


def test_a_key_for_raw_octets_signs_digests_and_no_certificate():
    """What is a structure has a kind of its own, and that is not listed."""
    agent = Agent(rules(["raw"]))

    assert isinstance(agent.ask(bytes(32)), Allowed)
    assert "kind" == agent.ask(made.leaf()).code
