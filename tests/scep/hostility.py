"""Messages that nobody should send, and the refusal that each of them gets."""

from pikaserver.asn1 import der
from pikaserver.asn1.enveloped_data import ENVELOPED_DATA
from pikaserver.asn1.key_transport import transport_identifier
from pikaserver.asn1.signed_data import DATA
from tests.scep.device import (
    FAILURE,
)


def request(house, device):
    return device.seal(device.csr("never accepted"), house.recipient)


def enveloped(envelope):
    """Write an `Envelope` down again, whatever was changed in it."""
    info = der.sequence(
        der.integer(0),
        envelope.recipient,
        transport_identifier(envelope.transport),
        der.octet_string(envelope.encrypted_key),
    )
    content = der.sequence(
        der.oid(DATA),
        envelope.cipher.identifier(envelope.iv),
        der.context(0, envelope.encrypted, constructed=False),
    )
    data = der.sequence(der.integer(0), der.set_of(info), content)
    return der.sequence(der.oid(ENVELOPED_DATA), der.context(0, data))


def refused(house, device, message, fail_info):
    before = house.issued()
    reply = house.ask(device, message)
    assert (FAILURE, fail_info) == reply.outcome, reply.text
    assert before == house.issued()
    return reply
