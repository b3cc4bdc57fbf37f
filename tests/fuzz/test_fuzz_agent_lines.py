"""Every field of every frame and message on an agent's line, changed in every way we know.

Frames are signed by the right key, as a thief with that key would: what is no message of the
protocol ends the line as a whole, and nothing of it is answered.
"""

import gc
import logging
import tracemalloc
import typing
from functools import partial

import cbor2
import pytest

from hsm_agent.channel.faults import LineFault
from hsm_agent.wire.codec import to_map
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Message, Signed
from hsm_agent.wire.session import read
from pikaserver_agents.line import Lost
from tests.fuzz import wire_seeds
from tests.fuzz.agent_end import SESSION, agent_end
from tests.fuzz.cbor_mutation import pack, variants
from tests.fuzz.server_end import payload, server_end

EACH = 3
"""A server stores what it complains of, so only every third change is shown to it."""
FROM_SERVER = (
    *("sign-1", "sign-2", "sign-3", "sign-4", "generate-1", "put-certificate-1", "approve-1"),
    *("journal-read-1", "relay-1", "welcome-1", "ping-1", "drain-1", "enrolled-1", "goodbye-1"),
)
FROM_AGENT = (
    *("pong-1", "inventory-1", "signed-1", "refused-1", "done-1", "journal-lines-1", "relayed-1"),
    *("drain-1", "goodbye-1", "hello-1", "enroll-1"),
)
SAMPLE = 150
FLAT_OCTETS = 150_000
"""What counters, caches and an index in memory may grow by in hundreds of wrong frames."""


def by_name(messages):
    """Return messages by the names of their types, numbered."""
    found = {}
    for message in messages:
        name = to_map(message)["t"]
        found[f"{name}-{1 + sum(one.startswith(name) for one in found)}"] = message
    return found


def test_there_is_one_message_of_every_type():
    """A new type of message has to be changed in every way, too."""
    types = {kind.__name__ for kind in typing.get_args(Message)}
    messages = wire_seeds.everything()

    assert types == {type(message).__name__ for message in messages}
    assert FROM_SERVER == tuple(by_name(wire_seeds.from_server()))
    assert FROM_AGENT == tuple(by_name(wire_seeds.from_agent()))


def is_sound(octets, now):
    """Tell whether a payload is one of the protocol, for the second frame of a line."""
    try:
        sequence, _ = read(Frame(octets, b""), SESSION, now)
    except WireError:
        return False
    return sequence == 2


def changes(message, now):
    """Yield everything that a payload with one message may be changed into."""
    tree = cbor2.loads(encode(payload([message], now, 2)))
    for where, changed in variants(tree):
        yield where, pack(changed)


@pytest.mark.parametrize("name", FROM_SERVER)
def test_a_message_to_an_agent_is_sound_or_ends_the_line(name):
    """Whatever is sound is answered or refused in words; the policy decides, not the frame."""
    end, message = agent_end(), by_name(wire_seeds.from_server())[name]
    refused = 0
    for where, octets in changes(message, end.now):
        error = end.told(octets)

        assert isinstance(error, LineFault | WireError), where
        if not is_sound(octets, end.now):
            refused += 1
            assert isinstance(error, WireError), (where, error)
            assert [] == end.answers, where
    assert refused > 50


@pytest.mark.parametrize("name", FROM_AGENT)
def test_a_message_to_a_server_is_sound_or_ends_the_line(name):
    """It is complained of, and counted; answers to nothing are ignored."""
    end, hello = server_end(), wire_seeds.hello_payload()
    message = by_name(wire_seeds.from_agent())[name]
    refused = 0
    for where, octets in list(changes(message, end.now))[::EACH]:
        complaints = end.told(octets, first=hello)

        if not is_sound(octets, end.now):
            refused += 1
            assert {"frame"} == complaints, where
    assert refused > 15


@pytest.mark.parametrize("name", FROM_AGENT)
def test_what_an_agent_says_is_not_said_to_one(name):
    """But what both sides say."""
    end, message = agent_end(), by_name(wire_seeds.from_agent())[name]
    error = end.told(encode(payload([message], end.now, 2)))

    both = to_map(message)["t"] in {"drain", "goodbye"}
    assert both or isinstance(error, WireError)
    assert [] == end.answers


@pytest.mark.parametrize("name", FROM_SERVER)
def test_what_a_server_says_is_not_said_to_one(name):
    """But what both sides say."""
    end, message = server_end(), by_name(wire_seeds.from_server())[name]
    octets = encode(payload([message], end.now, 2))

    complaints = end.told(octets, first=wire_seeds.hello_payload())

    both = to_map(message)["t"] in {"drain", "goodbye"}
    assert (set() if both else {"frame"}) == complaints


def flipped(at, octets):
    return octets[:at] + bytes([octets[at] ^ 0x40]) + octets[at + 1 :]


def cut_out(at, octets):
    return octets[:at] + octets[at + 1 :]


def cut_off(at, octets):
    return octets[:at]


def test_octets_of_a_frame_may_not_change_at_all():
    """Each octet flipped, each one left out, the frame cut off behind each one."""
    end = agent_end()
    whole = end.framed(wire_seeds.server_payloads()[0])
    end.raw(whole)
    assert end.answers

    for at in range(len(whole)):
        for change in (flipped, cut_out, cut_off):
            assert isinstance(end.raw(change(at, whole)), LineFault | WireError)
            assert [] == end.answers, at


def test_octets_of_a_frame_to_a_server_may_not_change_either():
    """The same the other way, at every seventh octet; what was asked gets no answer by it."""
    end, hello = server_end(), wire_seeds.hello_payload()
    signed = to_map(by_name(wire_seeds.from_agent())["signed-1"])
    (answer,) = [one for one in wire_seeds.agent_payloads() if cbor2.loads(one)["m"] == [signed]]
    assert set() == end.altered(answer, hello, bytes)
    assert [Signed] == [type(one) for one in end.answers]

    for at in range(0, len(end.framed(answer)), 7):
        for change in (flipped, cut_out, cut_off):
            # A length that grew makes the server wait for octets that never come.
            assert {"frame"} >= end.altered(answer, hello, partial(change, at))
            assert [Lost] == [type(one) for one in end.answers], at


@pytest.fixture
def quiet():
    """Keep the log out of the memory of the test."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("side", ["agent", "server"])
def test_wrong_frames_take_no_memory(side):
    """Nothing is kept of what was refused."""
    messages = wire_seeds.from_server() if side == "agent" else wire_seeds.from_agent()
    end = agent_end() if side == "agent" else server_end()
    found = [octets for message in messages[:6] for _, octets in changes(message, end.now)]
    wrong = [octets for octets in found if not is_sound(octets, end.now)][:SAMPLE]
    hello = wire_seeds.hello_payload()

    def hear():
        for octets in wrong:
            if side == "agent":
                end.told(octets)
            else:
                end.told(octets, first=hello)
        gc.collect()

    hear()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        hear()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < FLAT_OCTETS
