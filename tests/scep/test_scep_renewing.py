"""Renewals, new keys and stolen ones: whose certificate counts for what."""

import pytest
from cryptography import x509

from tests.scep.afterwards import renew, revoked
from tests.scep.device import (
    BAD_MESSAGE_CHECK,
    BAD_REQUEST,
    FAILURE,
    PKCS_REQ,
    RENEWAL_REQ,
    SUCCESS,
    Device,
)


def test_a_device_renews(house, device):
    """With RenewalReq, and with PKCSReq as those do that know no other; a new key each time."""
    house.enrolled(device, transaction="renewing")
    for kind, number in ((RENEWAL_REQ, 4), (PKCS_REQ, 5)):
        key = Device(device.name, number=number).key

        reply = renew(house, device, key=key, kind=kind, transaction=kind)

        assert SUCCESS == reply.status, reply.text
        device.certificate, device.key = device.certificate_in(reply), key
    assert key.public_key() == x509.load_der_x509_certificate(device.certificate).public_key()


def test_a_renewal_for_another_subject_is_refused(house, device):
    """Who stole a certificate gets no other name with it."""
    house.enrolled(device, transaction="stolen")
    before = house.issued()

    for kind in (RENEWAL_REQ, PKCS_REQ):
        reply = renew(house, device, name="boss", kind=kind, transaction=f"stolen-{kind}")
        assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert before == house.issued()


def test_a_renewal_is_signed_by_a_valid_certificate_of_ours(house, device):
    """A self-signed one, a revoked one and a forged one count for nothing."""
    stranger = Device("plc-51", number=1)
    assert (FAILURE, BAD_REQUEST) == renew(house, stranger).outcome
    house.enrolled(device, transaction="to-be-revoked")
    revoked(house, device.certificate)
    before = house.issued()

    assert (FAILURE, BAD_REQUEST) == renew(house, device, transaction="r").outcome
    thief = Device("plc-21", number=2)
    reply = renew(house, device, key=thief.key, transaction="t")
    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert before == house.issued()


def test_a_message_by_another_key_than_the_request_is_refused(house, device):
    """Who took a request off the line cannot have the answer sealed for himself."""
    thief, before = Device("thief", number=1), house.issued()
    envelope = device.seal(device.csr(house.challenge()), house.recipient)

    reply = house.ask(thief, thief.message(PKCS_REQ, envelope))

    assert (FAILURE, BAD_MESSAGE_CHECK) == reply.outcome
    assert before == house.issued()


@pytest.mark.parametrize("state", ["another name", "revoked"])
def test_nor_does_a_certificate_of_ours_help_the_thief(house, device, state):
    """Only that of the same subject, while it is valid: a device that changes its key."""
    thief = Device(device.name if state == "revoked" else "thief", number=1)
    house.enrolled(thief, transaction=f"thief {state}")
    if state == "revoked":
        revoked(house, thief.certificate)
    challenge, before = house.challenge(), house.issued()
    envelope = device.seal(device.csr(challenge), house.recipient)

    reply = house.ask(thief, thief.message(PKCS_REQ, envelope, transaction=state))

    assert (FAILURE, BAD_MESSAGE_CHECK) == reply.outcome
    assert before == house.issued()
    assert SUCCESS == house.enrol(device, challenge, transaction=f"own {state}").status


def test_a_device_changes_its_key_with_a_challenge(house, device):
    """Signed by its certificate, where the template wants no renewals, say."""
    house.enrolled(device, transaction="changing")
    key = Device(device.name, number=4).key
    envelope = device.seal(device.csr(house.challenge(), key=key), house.recipient)

    reply = house.ask(device, device.message(PKCS_REQ, envelope, transaction="changed"))

    assert SUCCESS == reply.status, reply.text
