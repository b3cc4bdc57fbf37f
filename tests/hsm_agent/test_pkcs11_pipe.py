"""The line between store and worker: messages whole, or an end, or a refusal."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.stores.pkcs11.pipe import LIMIT_OCTETS, Pipe, framed
from hsm_agent.wire.errors import WireError


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    pipes = Pipe(ours), Pipe(theirs)
    yield pipes
    for pipe in pipes:
        pipe.close()


def test_messages_arrive_whole_and_in_order(ends):
    """Also one that fills the socket's buffer many times."""
    ours, theirs = ends
    messages = [{"n": 1}, {"octets": bytes(5_000_000)}, {"n": 3, "list": [{"a": True}]}]
    sender = threading.Thread(target=lambda: [ours.send(framed(m)) for m in messages])
    sender.start()

    assert messages == [theirs.receive() for _ in messages]

    sender.join()


def test_what_was_sent_before_the_end_is_read(ends):
    """`end` and `cut` take nothing back."""
    ours, theirs = ends
    ours.send(framed({"n": 1}))
    ours.end()
    theirs.cut()
    theirs.cut()

    assert {"n": 1} == theirs.receive()
    assert theirs.receive() is None


@given(st.binary(max_size=40))
def test_whatever_comes_is_a_message_an_end_or_a_refusal(octets):
    """A worker that is no longer sane is noticed."""
    ours, theirs = socket.socketpair()
    reader = Pipe(theirs)
    ours.sendall(octets)
    ours.close()

    try:
        while (message := reader.receive()) is not None:
            assert framed(message) in octets
    except WireError:
        pass
    finally:
        reader.close()


def test_a_length_beyond_the_limit_ends_the_line(ends):
    """Nothing is allocated for it."""
    ours, theirs = ends
    ours.send((LIMIT_OCTETS + 1).to_bytes(4, "big"))

    assert theirs.receive() is None
