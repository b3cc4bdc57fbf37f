"""Keys at agents: named, made, kept for an authority, and in every state."""

import pytest

from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    NotAllowed,
    NotFound,
    RequestRejected,
)
from pikaserver.api.signing import KeyReference
from pikaserver.testing.patience import until
from pikaserver_agents.deeds import find_key

ISSUING = "soft/issuing"


def test_a_key_that_is_not_there_is_named(site):
    """The sentence says what there is to do."""
    site.agent("vault-a", "issuing")

    with pytest.raises(NotFound, match="there is no agent 'vault-x'; there are: vault-a"):
        site.signer("agent:vault-x/issuing")
    with pytest.raises(NotFound, match="agent vault-a has no key 'other'"):
        site.signer("agent:vault-a/other")
    with pytest.raises(RequestRejected, match="only ecdsa-sha256, ecdsa-sha384, ecdsa-sha512, not"):
        site.signer(algorithm="rsa-sha256")


def test_an_agent_that_is_away_is_named_before_anything_is_stored(site):
    """`open` says since when, and what helps: no serial is wasted."""
    agent = site.agent("vault-a", "issuing")
    agent.die()
    until(lambda: not site.office.lines.present())
    until(lambda: not site.office.whereabouts.linked())

    with pytest.raises(KeyUnavailable, match="vault-a is away since 2026-01-02 12:00:00 UTC: is"):
        site.signer()


@pytest.mark.parametrize("state", ["absent", "pin-needed", "pin-locked", "no-policy"])
def test_a_key_that_is_not_ready_is_named_with_its_state(site, state):
    """A token that was pulled, a PIN that is missing."""
    agent = site.agent("vault-a", "issuing")
    agent.desk.keys[ISSUING].state = state
    agent.tell_inventory()
    until(lambda: state == site.office.directory.refresh().keys[0].told.state)

    with pytest.raises(KeyUnavailable, match=f"key soft/issuing of agent vault-a is {state}"):
        site.signer()


def test_a_key_can_be_kept_for_an_authority(site):
    """Nobody else may use it, also where it does not exist yet for them."""
    site.agent("vault-a", "issuing")
    backend, reference = site.office.backend, KeyReference("agent", "vault-a/issuing")
    backend.check_authority(reference, "issuing")
    row = find_key(site.office.directory.view(), "vault-a/issuing")

    site.office.deeds.allow(row, ["root"], "cli:tester")

    backend.check_authority(reference, "root")
    with pytest.raises(NotAllowed, match="kept for root, not for 'issuing'"):
        backend.check_authority(reference, "issuing")
    site.office.deeds.deny(row, "root", "cli:tester")
    with pytest.raises(NotAllowed, match="kept for nobody"):
        backend.check_authority(reference, "root")
    site.office.deeds.allow_all(row, "cli:tester")
    backend.check_authority(reference, "issuing")
    with pytest.raises(NotFound):
        site.office.deeds.allow(row, ["no-such"], "cli:tester")


def test_keys_are_made_at_the_agent(site):
    """In its one store, under the rules for issuing keys unless the reference says otherwise."""
    agent = site.agent("vault-a")
    backend = site.office.backend

    reference = KeyReference("agent", "vault-a/new")
    spki = backend.generate(reference, "ec-p256", exportable=False)

    assert spki == agent.desk.keys["soft/new"].public_key == backend.find(reference).public_key
    root = KeyReference("agent", "vault-a/root?profile=root")
    backend.generate(root, "ec-p384", exportable=False)
    assert [("soft/new", "issuing"), ("soft/root", "root")] == [
        (one.name, one.profile) for one in agent.asked if hasattr(one, "profile")
    ]
    site.signer("agent:vault-a/new").sign(b"\x30\x00")
    with pytest.raises(RequestRejected, match="never leave"):
        backend.generate(reference, "ec-p256", exportable=True)
    with pytest.raises(Conflict, match="there is a key soft/new"):
        backend.generate(reference, "ec-p256", exportable=False)
    with pytest.raises(RequestRejected, match="unsupported"):
        backend.generate(KeyReference("agent", "vault-a/x"), "ed448", exportable=False)
    assert ["agent:vault-a/soft/new", "agent:vault-a/soft/root"] == [
        str(key.reference) for key in backend.keys()
    ]


def test_a_key_whose_answer_was_lost_is_found(site):
    """The agent made it and died: the same deed finds it and goes on."""
    agent = site.agent("vault-a")
    reference = KeyReference("agent", "vault-a/new")
    agent.tamper = lambda *_: agent.die_soon()
    with pytest.raises(KeyUnavailable):
        site.office.backend.generate(reference, "ec-p256", exportable=False)
    agent.tamper = lambda _, answer: answer
    until(lambda: not site.office.lines.present())

    site.connect(agent)

    assert agent.desk.keys["soft/new"].public_key == site.office.backend.find(reference).public_key
