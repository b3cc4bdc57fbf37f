"""What ``docs/reference/agent-protocol.md`` says of version 2 and of kinds, to the octet."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from hsm_agent.identity.channel_keys import written
from hsm_agent.wire import openings
from hsm_agent.wire.channel_kinds import TLS_KINDS, Abilities
from hsm_agent.wire.enrollment_code import PREFIX_2, EnrollmentCode, comparison_words
from hsm_agent.wire.frame_kinds import FRAME_KINDS, LARGEST_SIGNATURE, frame_pin
from hsm_agent.wire.openings import AgentOpening, NodeOpening, opened_session_id, server_name
from hsm_agent.wire.session import relay_session_id

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "agent-protocol.md"
NODE = written(MLDSA65PrivateKey.from_seed_bytes(b"\1" * 32))
AGENT = written(Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
PIN = b"\x09" * 32


def vectors():
    """Return sentences and octets, or texts, by their names."""
    certificates = (b"server certificate", b"agent certificate")
    abilities = Abilities(TLS_KINDS, tuple(FRAME_KINDS))
    asked = AgentOpening(b"\4" * 32, frame_pin(NODE), abilities).octets()
    answered = NodeOpening(b"\3" * 32, NODE, b"\5" * 64).octets()
    code = EnrollmentCode(
        "vault-a", b"\x08" * 16, ("pki.example:8444",), (PIN,), (frame_pin(NODE),)
    )
    digits = comparison_words(PIN, b"\x0a" * 32, frame_pin(NODE), frame_pin(AGENT))
    return {
        "frame-pin-2": ("The pin of the node's ML-DSA-65 key.", frame_pin(NODE)),
        "agent-opening": ("An agent's opening with it, and all kinds.", asked),
        "session-2": (
            "The session after it, if the proof were 64 octets 05.",
            opened_session_id(asked, answered, *certificates),
        ),
        "relay-session-2": (
            "The session of relayed frames between the node's ML-DSA-65 key and the agent's.",
            relay_session_id(NODE, AGENT),
        ),
        "code-2": ("A code for `vault-a` with the node's ML-DSA-65 key.", code.text()),
        "digits-2": ("The digits for these keys.", digits),
        "server-name": ("The server name for a pin of 32 octets 09.", server_name(PIN)),
    }


@pytest.mark.parametrize("name", vectors())
def test_the_vectors_of_version_2_are_what_the_code_makes(name):
    """Whoever writes another agent finds the same octets."""
    sentence, value = vectors()[name]
    text = PAGE.read_text()
    blocks = dict(re.findall(r"^```text\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))

    shown = re.sub(r"\n", " " if name.startswith("digits") else "", blocks[name].strip())

    assert sentence in text
    assert shown == (value if isinstance(value, str) else value.hex())


def test_the_table_of_kinds_is_that_of_the_code():
    """Names, lengths of keys and lengths of signatures."""
    rows = re.findall(r"^\| `(\S+)` \| .+ \| (\d+) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE)

    expected = [
        (kind.name, str(kind.written_octets), str(kind.signature_octets))
        for kind in FRAME_KINDS.values()
    ]

    assert expected == rows


def test_the_figures_of_version_2_are_those_of_the_code():
    """Limits, labels and names, as the page spells them."""
    text = re.sub(r"\s+", " ", PAGE.read_text())

    for name in (*openings.ALPN.values(), openings.SESSION_LABEL.decode(), PREFIX_2):
        assert name in text
    assert "pikaserver-hsm-relay-v2" in text
    assert openings.PROOF_LABEL.rstrip(b"\0").decode() in text
    assert f"at most {openings.LARGEST_AGENT_OPENING} octets" in text
    assert f"at most {openings.LARGEST_NODE_OPENING}." in text
    assert f"at most {LARGEST_SIGNATURE} octets" in text
    assert f"first {openings.NAME_DIGITS} hexadecimal digits" in text
