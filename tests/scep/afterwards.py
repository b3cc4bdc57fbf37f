"""What devices do after they have asked, and what happens to their certificates."""

from pikaserver.api.certificates import Revocation, RevocationReason
from tests.scep.device import (
    CERT_POLL,
    RENEWAL_REQ,
)


def poll(house, device, transaction="1"):
    envelope = device.seal(b"whatever stands here", house.recipient)
    return house.ask(device, device.message(CERT_POLL, envelope, transaction=transaction))


def renew(house, device, name=None, key=None, kind=RENEWAL_REQ, **words):
    envelope = device.seal(device.csr(name=name, key=key), house.recipient)
    return house.ask(device, device.message(kind, envelope, **words))


def revoked(house, certificate):
    record = house.server.certificates.by_certificate(certificate)
    revocation = Revocation(house.server.clock(), RevocationReason.KEY_COMPROMISE)
    house.server.revoke(record, revocation, "test")
