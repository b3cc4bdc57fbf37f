"""CRLs and OCSP answers: of the own issuer, going forward, and not for too long."""

from datetime import timedelta

import pytest
from cryptography import x509

from hsm_agent.policy.verdicts import Allowed
from pikaserver.asn1 import crl as own_crls
from pikaserver.asn1 import der
from pikaserver.asn1.elements import children
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.asked_agent import Agent, refused
from tests.hsm_agent.made_structures import DAY, NOW, crl, leaf, rules

PARTS = "[profiles.issuing.crl]\npartitions = true\ndeltas = true\n"


def point(url="http://a.example/1.crl", *, indirect=False):
    """Return an issuingDistributionPoint."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(url)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )


def test_crls_follow_each_other():
    """The number grows, by any step; the identical one is signed again."""
    agent = Agent()

    for tbs in (crl(1), crl(1), crl(2), crl(9)):
        assert isinstance(agent.ask(tbs), Allowed)
    facts = agent.ask(crl(10, [5])).facts
    assert {
        "kind": "crl",
        "scope": "complete",
        "crl-number": "10",
        "revoked": "1",
        "this-update": "2026-11-22T12:00:00+00:00",
        "next-update": "2026-11-23T12:00:00+00:00",
    } == facts


@pytest.mark.parametrize(
    ("tbs", "why"),
    [
        (crl(5, [1]), "does not grow"),
        (crl(4), "does not grow"),
        (crl(6, this_update=NOW - timedelta(seconds=1)), "thisUpdate goes back"),
        (crl(6, issuer=made.name("CN=Other").public_bytes()), "issuer is not the subject"),
        (crl(6, key_identifier=bytes(20)), "not that of this key"),
        (crl(6, this_update=NOW + timedelta(minutes=2)), "lies in the future"),
        (crl(6, next_update=NOW + 10 * DAY + timedelta(minutes=2)), "max-next-update"),
        (crl(6, next_update=NOW - DAY), "before thisUpdate"),
        (crl(1 << 159), "at most 20 octets"),
        (crl(6, delta_base=5), "delta CRLs are not allowed"),
        (crl(6, distribution_point=point()), "issuingDistributionPoint are not allowed"),
    ],
)
def test_a_crl_that_a_rule_forbids_is_refused(tbs, why):
    """After number 5 of the same key."""
    agent = Agent()
    agent.ask(crl(5))

    refused(agent.ask(tbs), why)


def without(place):
    """Return a TBSCertList without one of its elements."""
    tbs = crl(1)
    parts = [tbs[one.at : one.end] for one in children(tbs)]
    return der.sequence(*parts[:place], *parts[place + 1 :])


def test_a_crl_has_a_next_update_and_a_number():
    """RFC 5280 section 5.1.2.5; without its extensions it has no number."""
    refused(Agent().ask(without(4)), "no nextUpdate")
    refused(Agent().ask(without(5)), "no number")


def test_an_unknown_critical_extension_of_a_crl_is_refused():
    """Nobody here knows what it would say."""
    tbs = crl(1)
    parts = [tbs[one.at : one.end] for one in children(tbs)]
    critical = der.sequence(der.oid("1.2.3"), der.boolean(value=True), der.octet_string(b""))

    verdict = Agent().ask(der.sequence(*parts[:5], der.context(0, der.sequence(critical))))

    refused(verdict, "1.2.3")


def test_a_revoked_serial_stays():
    """One that this agent signed and that has not expired is not taken off again."""
    agent = Agent()
    agent.ask(leaf(serial=7))
    agent.ask(crl(1, [5, 7, 9]))

    refused(agent.ask(crl(2, [5, 9])), "no more on the CRL: 7")
    assert isinstance(agent.ask(crl(2, [7, 9, 11])), Allowed)


def test_a_serial_of_another_agent_may_go():
    """Only who signed the certificate knows when it has expired."""
    agent = Agent()
    agent.ask(crl(1, [5, 9]))

    assert isinstance(agent.ask(crl(2, [9])), Allowed)


def test_an_expired_certificate_leaves_the_list():
    """RFC 5280 section 3.3."""
    agent = Agent()
    agent.ask(leaf(serial=7, not_after=NOW + 2 * DAY))
    agent.ask(crl(1, [7]))
    agent.now = NOW + 3 * DAY

    later = {"this_update": agent.now, "next_update": agent.now + DAY}

    assert isinstance(agent.ask(crl(2, **later)), Allowed)


def test_a_certificate_on_hold_may_come_back():
    """It was never revoked for good."""
    agent = Agent()
    agent.ask(leaf(serial=7))
    head = own_crls.CrlHead(
        made.CA_NAME.public_bytes(), "ecdsa-sha256", NOW, NOW + DAY, 1,
        made.CA_IDENTIFIER.key_identifier,
    )  # fmt: skip
    hold = own_crls.entry(7, NOW, own_crls.RevocationReason.CERTIFICATE_HOLD)
    agent.ask(b"".join(own_crls.tbs_pieces(head, own_crls.in_memory([hold]))))

    assert isinstance(agent.ask(crl(2)), Allowed)


def test_dropping_can_be_allowed():
    """For an authority whose past this agent does not know."""
    agent = Agent(rules(["cert", "crl"], "[profiles.issuing.crl]\nnever-drop = false\n"))
    agent.rules = made.replace(agent.rules, cert=Agent().rules.cert)
    agent.ask(leaf(serial=7))
    agent.ask(crl(1, [7]))

    assert isinstance(agent.ask(crl(2)), Allowed)


def test_each_partition_counts_for_itself():
    """One scope's numbers say nothing of another's."""
    agent = Agent(rules(["crl"], PARTS))
    first, second = point("http://a.example/1"), point("http://a.example/2")

    assert isinstance(agent.ask(crl(5, distribution_point=first)), Allowed)
    assert isinstance(agent.ask(crl(1, distribution_point=second)), Allowed)
    refused(agent.ask(crl(5, [1], distribution_point=first)), "does not grow")
    refused(agent.ask(crl(9, distribution_point=point(indirect=True))), "indirect")


def test_a_delta_stands_on_a_complete_crl_that_was_signed_here():
    """RFC 5280 section 5.2.4; both have numbers of their own."""
    agent = Agent(rules(["crl"], PARTS))

    refused(agent.ask(crl(2, delta_base=1)), "stand on a complete CRL")
    agent.ask(crl(1))
    assert isinstance(agent.ask(crl(2, delta_base=1)), Allowed)
    assert isinstance(agent.ask(crl(2)), Allowed)
    refused(agent.ask(crl(3, delta_base=3)), "stand on a complete CRL")
    refused(agent.ask(crl(2, [1], delta_base=1)), "does not grow")


def test_a_delta_takes_nothing_off():
    """The reason removeFromCRL would be a way round never-drop."""
    agent = Agent(rules(["crl"], PARTS))
    agent.ask(crl(1))
    tbs = crl(2, [7], delta_base=1)
    removed = tbs.replace(
        bytes.fromhex("0603551d1504030a0101"), bytes.fromhex("0603551d1504030a0108")
    )
    assert removed != tbs

    refused(agent.ask(removed), "takes serials off")
