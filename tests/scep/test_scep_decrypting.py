"""What fails while a message is decrypted is told in one and the same way."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import padding

from pikaserver.asn1.algorithms import public_key
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.enveloped_data import read_envelope
from tests.scep.device import (
    BAD_MESSAGE_CHECK,
    CERT_POLL,
    FAILURE,
    GET_CERT,
    PKCS_REQ,
)
from tests.scep.hostility import enveloped, refused, request


def failures(house, device):
    """Return messages that fail at each step of decryption, by name."""
    public = public_key(public_key_of(read_certificate(house.recipient)))
    good = read_envelope(request(house, device))
    other = read_envelope(device.seal(b"not a request", house.recipient))
    unsound = bytearray(good.encrypted)
    unsound[-17] ^= 0x80
    garbled = bytearray(good.encrypted)
    garbled[40] ^= 1
    rsa_octets = len(good.encrypted_key)

    def with_block(block):
        number = pow(int.from_bytes(block, "big"), 65537, public.public_numbers().n)
        return replace(good, encrypted_key=number.to_bytes(rsa_octets, "big"))

    pad = b"\xaa" * (rsa_octets - 35)
    return {
        "padding of the content": replace(good, encrypted=bytes(unsound)),
        "content": replace(good, encrypted=bytes(garbled)),
        "initialisation vector": replace(good, iv=bytes(16)),
        "no request": other,
        "key: first octet": with_block(b"\x01\x02" + pad + b"\x00" + bytes(32)),
        "key: block type": with_block(b"\x00\x01" + pad + b"\x00" + bytes(32)),
        "key: no separator": with_block(b"\x00\x02" + b"\xaa" * (rsa_octets - 2)),
        "key: length": with_block(b"\x00\x02" + pad + b"\xaa" * 16 + b"\x00" + bytes(16)),
        "key: another one": replace(
            good, encrypted_key=public.encrypt(bytes(32), padding.PKCS1v15())
        ),
        "key: zero": replace(good, encrypted_key=bytes(rsa_octets)),
        "key: cut off": replace(good, encrypted_key=good.encrypted_key[:-1]),
    }


@pytest.mark.parametrize("authority", ["rsa-2048", "ec-p256"])
def test_no_failure_of_decryption_tells_which_one_it_was(houses, device, authority):
    """Bleichenbacher's, Manger's and Vaudenay's questions get one and the same answer."""
    house = houses(authority)
    answers = {
        (reply.outcome, reply.text, reply.transaction, len(reply.envelope))
        for envelope in failures(house, device).values()
        for reply in [house.ask(device, device.message(PKCS_REQ, enveloped(envelope)))]
    }

    wanted = (FAILURE, BAD_MESSAGE_CHECK), "the content cannot be decrypted", "1", 0
    assert {wanted} == answers


def test_other_operations_tell_no_more(house, device):
    """Octets of a request that are passed off as another message are not answered otherwise."""
    house.enrolled(device, transaction="other operations")
    stolen = request(house, device)
    replies = [
        refused(house, device, device.message(GET_CERT, enveloped(one)), BAD_MESSAGE_CHECK)
        for one in [read_envelope(stolen), *failures(house, device).values()]
    ]

    assert {"the content cannot be decrypted"} == {reply.text for reply in replies}
    poll = device.message(CERT_POLL, stolen, transaction="nothing known")
    assert (FAILURE, "4") == house.ask(device, poll).outcome
