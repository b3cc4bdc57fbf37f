"""Requests that wait for a person: polled, approved, declined, forgotten."""

from datetime import timedelta

from pikaserver_scep.station import station
from tests.scep.afterwards import poll
from tests.scep.device import (
    BAD_CERT_ID,
    BAD_REQUEST,
    FAILURE,
    PENDING,
    PKCS_REQ,
)


def test_approval_is_waited_for(house, device):
    """PENDING, CertPoll, approval, and the certificate; the repeated request sees the same."""
    house.set("approval=true")
    try:
        csr = device.csr(house.challenge())
        message = device.message(PKCS_REQ, device.seal(csr, house.recipient), transaction="wait")
        assert (PENDING, None) == house.ask(device, message).outcome
        assert (PENDING, None) == poll(house, device, "wait").outcome
        assert (PENDING, None) == house.ask(device, message).outcome
        waiting = house.server.requests.list()[0]
        house.server.requests.decide(waiting.id, "boss", approve=True)

        polled = poll(house, device, "wait")
        repeated = house.ask(device, message)
    finally:
        house.set("approval=false")

    assert device.certificate_in(polled) == device.certificate_in(repeated)
    stored = house.server.requests.get(waiting.id)
    assert csr != stored.csr
    assert b"*" * 32 in stored.csr


def test_a_declined_request_stays_declined(house, device):
    """Both ways to ask say so."""
    house.set("approval=true")
    try:
        envelope = device.seal(device.csr(house.challenge()), house.recipient)
        message = device.message(PKCS_REQ, envelope, transaction="declined")
        assert PENDING == house.ask(device, message).status
        waiting = house.server.requests.list()[0]
        house.server.requests.decide(waiting.id, "boss", approve=False, comment="who are you?")

        replies = poll(house, device, "declined"), house.ask(device, message)
    finally:
        house.set("approval=false")

    assert [(FAILURE, BAD_REQUEST)] * 2 == [reply.outcome for reply in replies]
    assert "it was declined: who are you?" == replies[0].text


def test_what_waits_is_forgotten_in_the_end(house, device):
    """A poll after thirty days finds nothing, and the table is cleared."""
    house.set("approval=true")
    try:
        house.enrol(device, transaction="forgotten")
    finally:
        house.set("approval=false")
    house.server.clock.advance(timedelta(days=31))

    assert (FAILURE, BAD_CERT_ID) == poll(house, device, "forgotten").outcome
    station(house.server).transactions.forget_old()
    assert (FAILURE, BAD_CERT_ID) == poll(house, device, "forgotten").outcome
