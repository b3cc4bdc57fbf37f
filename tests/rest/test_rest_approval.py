"""Requests on which a person decides, and what only their requesters get to see."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.rest.asking import make_csr


@pytest.fixture(scope="session")
def slow(door):
    """Give a template whose requests wait for a person."""
    return door.template("slow", ("approval = false", "approval = true"))


def test_a_request_waits_and_becomes_a_certificate(door, slow):
    """202, a place to ask, and then the link; the code is spent when it is stored."""
    user, csr = door.code(slow), make_csr("plc-1")

    waiting = door.ask(csr, user, template=slow)
    place = waiting.headers["location"].removeprefix("/api/v1")
    pending = door.send("GET", place, user=user)
    again = door.ask(csr, user, template=slow)
    door.server.requests.decide(waiting.json["id"], "op", approve=True)
    approved = door.send("GET", place, user=user)
    issued = door.server.enrollment.issue_approved(waiting.json["id"])
    done = door.send("GET", place, user=user)
    fetched = door.ask(csr, user, template=slow)

    assert [202, 200, 202] == [one.status_code for one in (waiting, pending, again)]
    assert waiting.json == pending.json == again.json
    assert "60" == waiting.headers["retry-after"] == pending.headers["retry-after"]
    assert ["pending", "approved", "issued"] == [
        one.json["state"] for one in (pending, approved, done)
    ]
    assert "retry-after" not in done.headers
    link = done.json["links"]["certificates"][0].removeprefix("/api/v1")
    found = door.send("GET", link)
    assert [issued.record.serial] * 2 == [int(one.json["serial"], 16) for one in (found, fetched)]


def test_who_is_declined_reads_why(door, slow):
    """At the place, and when asking again."""
    user, csr = door.code(slow), make_csr("plc-2")
    waiting = door.ask(csr, user, template=slow)

    door.server.requests.decide(waiting.json["id"], "op", approve=False, comment="not ours")

    told = door.send("GET", f"/requests/{waiting.json['id']}", user=user)
    again = door.ask(csr, user, template=slow)
    assert ("declined", "not ours", []) == (
        told.json["state"],
        told.json["comment"],
        told.json["links"]["certificates"],
    )
    assert 422 == again.status_code
    assert "not ours" in again.json["detail"]


def test_a_request_is_seen_by_its_requester_alone(door, slow):
    """Another credential gets what it gets of one that is not there: 404."""
    user, other = door.code(slow), door.code(slow)
    waiting = door.ask(make_csr("plc-3"), user, template=slow)
    place = f"/requests/{waiting.json['id']}"

    assert 200 == door.send("GET", place, user=user).status_code
    assert 404 == door.send("GET", place, user=other).status_code
    assert 401 == door.send("GET", place).status_code
    assert 404 == door.send("GET", "/requests/2147483647", user=user).status_code


def test_of_two_certificates_of_one_name_each_has_its_own(door):
    """A subject is no credential: what one asks, the other does not see."""
    template = door.template("late")
    twins = [door.issue(make_csr("twin"), template).certificate for _ in range(2)]
    door.template(template, ("approval = false", "approval = true"))
    csr = make_csr("twin")

    ids = [door.ask(csr, certificate=one, template=template).json["id"] for one in twins]

    seen = [
        [door.send("GET", f"/requests/{id_}", certificate=one).status_code for id_ in ids]
        for one in twins
    ]
    assert [[200, 404], [404, 200]] == seen


def test_two_at_once_get_one_certificate(door):
    """The code is for one: who comes second hears of the first one's, or has to come back."""
    for number in range(5):
        user, csr = door.code(uses=1), make_csr(f"race-{number}")
        before, start = door.issued(), Barrier(3)

        def ask(user=user, csr=csr, start=start):
            start.wait()
            return door.ask(csr, user)

        with ThreadPoolExecutor(3) as pool:
            answers = [one.result() for one in [pool.submit(ask) for _ in range(3)]]

        assert {answer.status_code for answer in answers} <= {201, 503}
        assert before + 1 == door.issued()
        serials = {one.json["serial"] for one in answers if one.status_code == 201}
        assert serials == {door.ask(csr, user).json["serial"]}


def test_two_at_once_are_one_request_that_waits(door, slow):
    """The code is spent once, and both hear of the same request."""
    user, csr, start = door.code(slow, uses=1), make_csr("race"), Barrier(2)

    def ask():
        start.wait()
        return door.ask(csr, user, template=slow)

    with ThreadPoolExecutor(2) as pool:
        answers = [one.result() for one in [pool.submit(ask) for _ in range(2)]]

    assert [202, 202] == [answer.status_code for answer in answers]
    assert 1 == len({answer.json["id"] for answer in answers})
