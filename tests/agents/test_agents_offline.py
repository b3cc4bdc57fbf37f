"""Agents without a line: everything is carried in files, and nothing is believed for that."""

import pytest
from cryptography import x509

from hsm_agent.wire.bundles import BUNDLE_LIFE
from hsm_agent.wire.messages import JournalRead, Sign
from pikaserver.api.errors import (
    KeyUnavailable,
    RequestRejected,
    SignatureFaulty,
    SignaturePending,
)
from pikaserver.api.operations import Alarm
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import verify
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_lies import flipped
from pikaserver_agents.storage.agents import AgentState
from tests.agents.carried import BY, carry, export, pending, registered, signer


@pytest.fixture
def agent(site):
    return registered(site)


def test_an_agent_registers_by_a_file(site, agent):
    """With the code of ``agent enroll --offline``; its keys come with the first answers."""
    row = site.office.directory.refresh().agent("vault-o")

    assert (AgentState.OFFLINE, agent.identity.pin) == (row.state, row.identity.pin)
    assert ["soft/root"] == [key.told.name for key in site.office.directory.view().keys]
    assert "agent.enrolled" in [event for event, _, _ in site.server.audit.lines]


def test_a_signature_is_carried_and_found_again(site, agent, certificate_tbs):
    """The same octets asked again get what was brought meanwhile."""
    waits = pending(site, certificate_tbs, "bundle export vault-o --out FILE")
    assert waits.retry_after >= 60
    octets, count = export(site)
    pending(site, certificate_tbs, "carried to agent vault-o: bring its answer back")

    done = site.office.bundles.import_(agent.answer_bundle(octets), BY)
    signature = signer(site).sign(certificate_tbs)

    assert (1, 1, []) == (count, done.answers, done.faults)
    verify(agent.desk.keys["soft/root"].public_key, "ecdsa-sha256", signature, certificate_tbs)
    assert signature == signer(site).sign(certificate_tbs)
    assert ("vault-o", "certificate", "signed") in site.history()


def test_what_waits_is_asked_once(site, agent, certificate_tbs):
    """However often somebody asks meanwhile."""
    for _ in range(3):
        pending(site, certificate_tbs, "carry")
    pending(site, certificate_tbs + b"\0", "carry")

    octets, count = export(site)

    assert 2 == count
    agent.answer_bundle(octets)
    assert 2 == len(agent.asked_to_sign)


def test_a_bundle_may_be_carried_twice(site, agent, certificate_tbs):
    """A stick that got lost: the next one holds everything again."""
    pending(site, certificate_tbs, "carry")
    export(site)

    again = carry(site, agent)
    octets, count = export(site)

    assert (1, 0) == (again.answers, count)
    assert 0 == site.office.bundles.import_(agent.answer_bundle(octets), BY).answers


def test_a_refusal_is_told_once(site, agent, certificate_tbs):
    """Then the wish can be carried again: the policy may have been changed."""
    pending(site, certificate_tbs, "carry")
    agent.tamper = agent.refusing("policy")
    carry(site, agent)

    with pytest.raises(RequestRejected, match="because"):
        signer(site).sign(certificate_tbs)

    pending(site, certificate_tbs, "bundle export")


def test_approvals_are_waited_for(site, agent, certificate_tbs):
    """The agent got the octets; it has to see them again when people have agreed."""
    agent.desk.needs_approval = lambda _: True
    pending(site, certificate_tbs, "carry")
    carry(site, agent)

    waits = pending(site, certificate_tbs, "one person has to agree")
    agent.desk.approved.add(waits.approval)
    carry(site, agent)

    verify(
        agent.desk.keys["soft/root"].public_key,
        "ecdsa-sha256",
        signer(site).sign(certificate_tbs),
        certificate_tbs,
    )


def test_keys_are_made_by_bundle(site, agent):
    """The same deed goes on when the answer is there."""
    backend, reference = site.office.backend, KeyReference("agent", "vault-o/issuing")
    with pytest.raises(SignaturePending):
        backend.generate(reference, "ec-p256", exportable=False)

    carry(site, agent)

    made = agent.desk.keys["soft/issuing"].public_key
    assert made == backend.find(reference).public_key
    assert made == backend.generate(reference, "ec-p256", exportable=False)


def test_the_journal_comes_with_the_answers(site, agent, certificate_tbs):
    """Each export asks for what is new."""
    pending(site, certificate_tbs, "carry")
    carry(site, agent)
    carry(site, agent)

    row = site.office.directory.refresh().agent("vault-o")
    assert len(agent.desk.lines) == row.mirrored.index
    assert any(isinstance(one, JournalRead) for one in agent.asked)


def test_a_journal_that_lies_locks_the_agent_out(site, agent, certificate_tbs):
    """As it does over a line."""
    pending(site, certificate_tbs, "carry")
    carry(site, agent)
    carry(site, agent)
    agent.desk.lines[-1] = agent.desk.lines[-1].replace(b"signed", b"Signed")
    agent.desk.write("start")

    done = carry(site, agent)

    assert "locked out" in done.faults[0]
    assert AgentState.LOCKED == site.office.directory.refresh().agent("vault-o").state
    assert [event for event in site.server.events if isinstance(event, Alarm)]
    with pytest.raises(KeyUnavailable, match="is locked out"):
        signer(site)


def test_a_wrong_signature_is_never_used(site, agent, certificate_tbs):
    """It is verified when it is wanted."""
    agent.tamper = flipped
    pending(site, certificate_tbs, "carry")
    carry(site, agent)

    with pytest.raises(SignatureFaulty):
        signer(site).sign(certificate_tbs)


def test_requests_live_as_long_as_the_journey(site, agent, certificate_tbs):
    """The agent takes them for as long as their bundle."""
    pending(site, certificate_tbs, "carry")
    octets, _ = export(site)
    agent.answer_bundle(octets)

    (request,) = [one for one in agent.asked if isinstance(one, Sign)]
    assert BUNDLE_LIFE == request.expires - site.office.now()


def test_a_crl_is_carried_too(house):
    """A root without a line gets its CRL: the same octets wait until they are brought back."""
    agent = FakeAgent("vault-o")
    house.agents.append(agent)
    code = house.code("vault-o", "--offline")
    office = house.office
    office.bundles.register(agent.registration(code), office.enrollments)
    far = house.plan("far", "agent:vault-o/far?profile=root", root=True)
    for _ in range(2):
        with pytest.raises(SignaturePending):
            house.server.ceremony.create_root(far, BY)
        carry(house, agent)
    house.server.ceremony.create_root(far, BY)
    with pytest.raises(SignaturePending):
        house.server.crls.issue("far")
    carry(house, agent)

    (record,) = house.server.crls.issue("far")

    crl = x509.load_der_x509_crl(record.crl)
    assert crl.is_signature_valid(house.server.authorities.key("far").certificate.public_key())
    assert 2 == len(agent.asked_to_sign)
