"""``docs/reference/agent-protocol.md`` says what the code does, to the octet."""

import dataclasses
import re
import types
import typing
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_agent.wire import bundles, frames, messages, session
from hsm_agent.wire.bundles import Bundle
from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.enrollment_code import EnrollmentCode, comparison_words
from hsm_agent.wire.frames import Frame, with_length
from hsm_agent.wire.messages import Context, Enroll, Mark, Sign, Signed
from hsm_agent.wire.refusals import REFUSALS
from hsm_agent.wire.session import Session, relay_session_id, seal, session_id
from pikaserver_agents.line import request_hash

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "agent-protocol.md"
NOW = 1_767_355_200_000
NODE_KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
AGENT_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
PARTS = (messages.Mark, messages.Key, messages.Store, messages.Node, messages.Context)


def vectors():
    """Return what the page shows: a sentence and octets, or a text, by their names."""
    node, agent = (key.public_key().public_bytes_raw() for key in (NODE_KEY, AGENT_KEY))
    certificates = (b"server certificate", b"agent certificate")
    identifier = session_id(b"\3" * 32, b"\4" * 32, *certificates)
    sign = Sign(
        b"\5" * 16, b"\6" * 32, "ecdsa-sha256", b"\x30\x00", NOW + 30_000, Context("issuing")
    )
    asking = seal(identifier, 1, NOW, [sign], NODE_KEY.sign)
    signed = Signed(b"\5" * 16, request_hash(sign), b"signature", Mark(7, b"\7" * 32))
    answering = seal(identifier, 1, NOW + 5, [signed], AGENT_KEY.sign)
    relay = relay_session_id(node, agent)
    relayed = seal(relay, 41, NOW, [sign], NODE_KEY.sign)
    carried = bundles.seal_for_bundle(relay, 42, NOW, [sign], NODE_KEY.sign)
    code = EnrollmentCode("vault-a", b"\x08" * 16, ("pki.example:8444",), (b"\x09" * 32,), (node,))
    enroll = Enroll(code.token, "vault-a", certificates[1], agent, "example 1", (1,))
    return {
        "session": ("The session of a line.", identifier),
        "sign": ("A `sign` request as CBOR.", encode(to_map(sign))),
        "request": ("Its SHA-256, which the answer repeats.", request_hash(sign)),
        "payload": ("The payload of the node's first frame, with it.", asking.payload),
        "signature": ("The signature over that payload.", asking.signature),
        "frame": ("The frame as it goes on the line.", with_length(asking.octets())),
        "answer": ("The agent's first frame, with `signed`.", with_length(answering.octets())),
        "relay-session": ("The session of relayed frames between both keys.", relay),
        "relay-frame": ("A frame to be relayed, number 41.", relayed.octets()),
        "bundle": (
            "A file of requests with one frame, number 42.",
            Bundle(bundles.REQUESTS, "vault-a", ((node, carried.octets()),)).octets(),
        ),
        "registration-session": (
            "The session of a registration by hand, for a token of 16 octets 08.",
            bundles.registration_session_id(code.token),
        ),
        "enroll": ("An `enroll` message as CBOR.", encode(to_map(enroll))),
        "code": (
            "A code for `vault-a`: token 16 octets 08, node `pki.example:8444`, pin 32 octets 09.",
            code.text(),
        ),
        "digits": (
            "The digits that both sides show, for an agent's pin of 32 octets 0a.",
            comparison_words(b"\x09" * 32, b"\x0a" * 32, node, agent),
        ),
    }


def type_name(hint):
    """Return how the page calls a type."""
    if isinstance(hint, types.GenericAlias):
        if hint.__origin__ is tuple:
            return f"array of {type_name(hint.__args__[0])}"
        return f"map of text to {type_name(hint.__args__[1])}"
    plain = {int: "uint", bytes: "bytes", str: "text", bool: "bool"}
    return plain.get(hint) or f"`{hint.__name__.lower()}`"


def sections():
    """Return the text below each third-level heading that is set as code."""
    pieces = re.split(r"^### `(.+)`$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {name: text for n, (name, text) in enumerate(pairwise(pieces)) if n % 2 == 0}


def kinds():
    """Return every message and every part of one, by the name on the wire."""
    found = {kind.__name__.lower(): kind for kind in PARTS}
    for kind in typing.get_args(messages.Message):
        name = re.sub(r"(?<!^)([A-Z])", r"-\1", kind.__name__).lower()
        found[name] = kind
    return found


def test_every_message_is_described():
    """No more and no fewer."""
    assert {*kinds()} == {*sections()}


@pytest.mark.parametrize("name", kinds())
def test_every_field_is_described_with_its_type(name):
    """As the dataclasses have them."""
    kind = kinds()[name]
    hints = typing.get_type_hints(kind)
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", sections()[name], flags=re.MULTILINE)

    expected = [(one.name, type_name(hints[one.name])) for one in dataclasses.fields(kind)]

    assert expected == rows


@pytest.mark.parametrize("name", [name for name, kind in kinds().items() if kind not in PARTS])
def test_the_names_are_those_of_the_wire(name):
    """A message of that type, and without its fields, is known and refused for that alone."""
    with pytest.raises(Exception, match="missing or unknown fields") as error:
        from_map({"t": name, "x": 1})

    assert "unknown type" not in str(error.value)


def test_every_refusal_is_described():
    """With what it says of another try."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (yes|no) \| .+ \|$", PAGE.read_text(), re.MULTILINE)

    assert [(code, "yes" if retry else "no") for code, retry in REFUSALS.items()] == rows


def test_the_figures_are_those_of_the_code():
    """Limits and labels, as the page spells them."""
    text = re.sub(r"\s+", " ", PAGE.read_text())
    for figure in (frames.LARGEST_FRAME, session.CLOCK_TOLERANCE, session.FRAME_LIFE, 16 * 1024):
        assert f"{figure:,}".replace(",", " ") in text
    assert f"1 to {session.MOST_MESSAGES} messages" in text
    assert session.SESSION_LABEL.decode() in text
    assert frames.SIGNATURE_LABEL.rstrip(b"\0").decode() in text
    assert bundles.MAGIC.strip().decode() in text


@pytest.mark.parametrize("name", vectors())
def test_the_vectors_are_what_the_code_makes(name):
    """Whoever writes another agent finds the same octets."""
    value = vectors()[name][1]
    blocks = dict(
        re.findall(r"^```text\n# (\S+)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    )

    shown = re.sub(r"\n", " " if name == "digits" else "", blocks[name].strip())

    assert shown == (value if isinstance(value, str) else value.hex())


def test_the_frames_of_the_vectors_can_be_read():
    """By the other side, with the keys that the page names."""
    found = {name: value for name, (_, value) in vectors().items()}
    sign = AGENT_KEY.sign

    def verify(octets, signature):
        NODE_KEY.public_key().verify(signature, octets)

    line = Session(found["session"], sign, verify, lambda: NOW + 3)

    (message,) = line.open(Frame.of(found["frame"][4:])).messages

    assert b"\x30\x00" == message.tbs
    assert found["request"] == request_hash(message)
