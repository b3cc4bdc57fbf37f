"""What a key reference of scheme ``agent`` means."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.wire.messages import Key
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.signing import KeyReference
from pikaserver_agents.authority_uses import Use, Uses
from pikaserver_agents.directory import View
from pikaserver_agents.references import read_reference, resolve
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.structures import sha256

NOBODY = Uses({}, {})


def row(agent, name, public_key):
    return KeyRow(agent, sha256(public_key), Key(name, "ec-p256", public_key, (), "ready"))


def view(*rows):
    agents = {one.agent: SimpleNamespace(name=one.agent) for one in rows}
    return View(1, agents, rows, (), {}, (), {}, 0)


def meant(reference, *rows, uses=NOBODY):
    return resolve(view(*rows), uses, KeyReference.parse(reference))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("agent:vault-a/issuing", ("vault-a", "", "issuing", "")),
        ("agent:vault-a/hsm/issuing", ("vault-a", "hsm", "issuing", "")),
        ("agent:vault-a/hsm/a/b", ("vault-a", "hsm", "a/b", "")),
        ("agent:vault-a/root?profile=root", ("vault-a", "", "root", "root")),
    ],
)
def test_references_are_taken_apart(text, parts):
    """Agent, store, label, and the rules for a key that is to be made."""
    found = read_reference(KeyReference.parse(text))

    assert parts == (found.agent, found.store, found.label, found.profile)


@pytest.mark.parametrize("name", ["vault-a", "vault-a/", "/issuing", "vault-a//x", "a/b?size=1"])
def test_references_without_an_agent_or_a_key_are_refused(name):
    """The sentence shows how one looks."""
    with pytest.raises(ConfigurationError, match="looks like 'agent:vault-a/issuing-1'"):
        read_reference(KeyReference("agent", name))


@given(st.text(min_size=1, max_size=30))
def test_any_name_is_a_reference_or_refused(name):
    """Nothing else is raised."""
    try:
        found = read_reference(KeyReference("agent", name))
    except ConfigurationError:
        return
    assert found.agent
    assert found.label


def test_a_bare_label_means_the_one_store_that_has_it():
    """A label in two stores has to be told with its store."""
    one, two = row("vault-a", "hsm/issuing", b"one"), row("vault-a", "usb/issuing", b"two")

    assert b"one" == meant("agent:vault-a/issuing", one).public_key
    assert b"two" == meant("agent:vault-a/usb/issuing", one, two).public_key
    assert meant("agent:vault-a/other", one, two) is None
    with pytest.raises(ConfigurationError, match="vault-a/hsm/issuing or agent:vault-a/usb"):
        meant("agent:vault-a/issuing", one, two)


def test_every_agent_with_the_same_key_may_sign():
    """A key is its public half; the named agent comes first."""
    here, there = row("vault-b", "hsm/issuing", b"one"), row("vault-a", "usb/9c", b"one")

    found = meant("agent:vault-b/issuing", there, here)

    assert ["vault-b", "vault-a"] == [one.agent for one in found.rows]


def test_an_authority_keeps_its_key_whatever_is_called_so_now():
    """Another key in the same slot is not taken for the authority's."""
    use = Use("issuing", 7, True, True, "agent:vault-a/issuing", b"old", (b"certificate",))  # noqa: FBT003
    uses = Uses({sha256(b"old"): [use]}, {use.reference: use})
    new, old = row("vault-a", "hsm/issuing", b"new"), row("vault-b", "hsm/x", b"old")

    found = meant("agent:vault-a/issuing", new, old, uses=uses)

    assert b"old" == found.public_key
    assert ["vault-b"] == [one.agent for one in found.rows]
    assert b"new" == meant("agent:vault-a/issuing", new, old).public_key
    gone = meant("agent:vault-a/issuing", replace(new, agent="vault-c"), uses=uses)
    assert () == gone.rows
