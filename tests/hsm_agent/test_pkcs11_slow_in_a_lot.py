"""Answers that wait for each other do not wait for a token that takes its time."""

import socket
import threading

import pytest

from hsm_agent.stores.pkcs11.pipe import Pipe, framed
from hsm_agent.stores.pkcs11.worker import serve

SIGN = {"do": "sign"}


class TouchedToken:
    """Signs at once, but the second time only when somebody touches it."""

    def __init__(self):
        self.touched = threading.Event()

    def answer(self, request):
        if request["n"] > 1:
            self.touched.wait()
        return {"n": request["n"], "signature": b"s"}


class Noted:
    """Takes what is begun."""

    def note(self, number):
        self.newest = number


@pytest.fixture
def token():
    return TouchedToken()


@pytest.fixture
def ours(token):
    ours, theirs = socket.socketpair()
    worker = threading.Thread(target=serve, args=(Pipe(theirs), token, Noted()))
    worker.start()
    yield Pipe(ours)
    token.touched.set()
    ours.shutdown(socket.SHUT_WR)
    worker.join()
    ours.close()
    theirs.close()


def test_what_is_signed_is_given_while_the_next_one_waits_for_a_touch(ours, token):
    """All were asked for at once, and the first one is kept for the second at most a moment."""
    ours.send(b"".join(framed({**SIGN, "n": number}) for number in (1, 2, 3)))

    assert 1 == ours.receive()["n"]

    token.touched.set()
    assert [2, 3] == [ours.receive()["n"] for _ in range(2)]


def test_who_watches_does_so_again_and_again(ours, token):
    """After a lot that was given comes another one."""
    for _ in range(3):
        token.touched.clear()
        ours.send(framed({**SIGN, "n": 1}) + framed({**SIGN, "n": 2}))
        assert 1 == ours.receive()["n"]
        token.touched.set()
        assert 2 == ours.receive()["n"]
