"""Whatever goes wrong below ``/acme``, the client reads a problem of ACME."""

import pytest

from pikaserver.api.errors import StorageUnavailable
from tests.acme.desk import JOSE, URN, problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 404),
        ("GET", "nothing", 404),
        ("POST", "nothing", 404),
        ("POST", "order/x", 404),
        ("POST", "order/-1", 404),
        ("GET", "directory/", 404),
        ("DELETE", "directory", 405),
        ("PUT", "new-order", 405),
        ("PATCH", "account/1", 405),
        ("DELETE", "star/x", 405),
    ],
)
def test_paths_and_methods_that_are_not_there_are_malformed(desk, web, method, path, status):
    """RFC 8555 section 6.7: clients look at the type; HTTP's status says which of the two."""
    answer = web.send(method, f"/acme/{desk.policy}/{path}", b"{}", headers=JOSE)

    assert (status, "malformed") == (answer.status_code, problem(answer))
    assert status == answer.json["status"]
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/acme", "/acme/", "/acme/none/directory"])
def test_a_directory_that_is_not_there_is_malformed(web, path):
    """Who mistyped the address reads where it went wrong."""
    answer = web.get(path)

    assert 404 == answer.status_code
    assert "malformed" == problem(answer)


def test_a_parameter_that_cannot_be_read_is_malformed(desk):
    """What HTTP refuses by itself is told in the same words."""
    answer = desk.post(f"{desk.kid}/orders?after=x")

    assert (400, "malformed") == (answer.status_code, problem(answer))


def test_a_fault_of_ours_tells_nothing_of_itself(desk, monkeypatch, caplog):
    """The client gets serverInternal and a fresh nonce, the operator the traceback."""
    monkeypatch.setattr(desk.office.ordering, "_needed", lambda *_: 1 / 0)

    answer = desk.order("www.example.com")

    assert (500, "serverInternal") == (answer.status_code, problem(answer))
    assert "ZeroDivision" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["replay-nonce"]
    assert any(one.exc_info for one in caplog.records)


def test_without_a_database_it_is_said_in_the_same_words(desk, monkeypatch):
    """Even where no nonce can be made: the answer says when to come back."""
    envelope = desk.sign(desk.header("new-order"), {})

    def away(*_):
        raise StorageUnavailable("nothing can be stored now")

    monkeypatch.setattr(desk.office.nonces, "_key", None)
    monkeypatch.setattr(desk.office.nonces, "_found_key", away)
    answer = desk.send("new-order", envelope)

    assert (503, f"{URN}serverInternal") == (answer.status_code, answer.json["type"])
    assert "30" == answer.headers["retry-after"]
