"""Requests as they are kept: without the challenge password that came in them."""

from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.elements import Element, children

_CHALLENGE_PASSWORD = der.oid("1.2.840.113549.1.9.7")


def without_password(csr: CertificationRequest) -> bytes:
    """Return the request in DER, with stars for its challenge password, if there is one.

    Its signature is then zero octets: with it, passwords could be tried until one fits.
    """
    if csr.challenge_password is None:
        return csr.der
    octets = bytearray(csr.der)
    info, _, signature = children(csr.der)
    attributes = list(children(csr.der, info.at))[3]
    for attribute in children(csr.der, attributes.at):
        kind, values = children(csr.der, attribute.at)
        if csr.der[kind.at : kind.end] == _CHALLENGE_PASSWORD:
            for value in children(csr.der, values.at):
                _fill(octets, value, b"*")
    octets[signature.start + 1 : signature.end] = bytes(signature.end - signature.start - 1)
    return bytes(octets)


def _fill(octets: bytearray, value: Element, octet: bytes) -> None:
    octets[value.start : value.end] = octet * (value.end - value.start)
