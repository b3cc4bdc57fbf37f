"""What goes wrong on the server's side: said in this door's words, and nothing is lost by it."""

import pytest

from pikaserver.api.errors import KeyUnavailable, SignatureFaulty, StorageUnavailable
from pikaserver_rest import enrolling
from pikaserver_rest.problems import KINDS
from tests.rest.asking import make_csr


def raising(error):
    def raise_(*_arguments, **_more):
        raise error

    return raise_


class Faltering:
    """A signer whose line breaks when it is asked."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def sign(self, tbs):
        raise KeyUnavailable("the line is down")


def test_a_key_that_is_away_costs_nothing(door, monkeypatch):
    """503 and when to come back; the same request with the same code is then issued."""
    user, csr = door.code(), make_csr("plc-1")
    with monkeypatch.context() as patch:
        patch.setattr(door.server.signers, "open", raising(KeyUnavailable("the token is away", 17)))

        away = door.ask(csr, user)

    assert (503, "17") == (away.status_code, away.headers["retry-after"])
    assert "/api/v1/problems/unavailable" == away.json["type"]
    assert 201 == door.ask(csr, user).status_code


def test_a_signature_that_failed_leaves_the_request_as_it_was(door, monkeypatch):
    """The intent was stored and is given up: asked again it is issued, with the same code."""
    user, csr = door.code(), make_csr("plc-2")
    signers = door.server.signers
    opened = signers.open
    with monkeypatch.context() as patch:
        patch.setattr(signers, "open", lambda *key: Faltering(opened(*key)))
        away = door.ask(csr, user)

    assert 503 == away.status_code
    assert 201 == door.ask(csr, user).status_code


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (StorageUnavailable("the disk is full"), 503, "unavailable"),
        (SignatureFaulty("it does not verify"), 500, "internal"),
        (RuntimeError("a secret of ours"), 500, "internal"),
    ],
)
def test_faults_are_problems_too(door, monkeypatch, error, status, kind):
    """What is our own fault is told by its number only; the log has the rest."""
    monkeypatch.setattr(enrolling, "issue", raising(error))

    answer = door.ask(make_csr("plc-3"), door.code())

    assert (status, f"/api/v1/problems/{kind}") == (answer.status_code, answer.json["type"])
    assert KINDS[kind].title == answer.json["title"]
    assert ("detail" in answer.json) == (status == 503)
    assert "secret" not in answer.text
