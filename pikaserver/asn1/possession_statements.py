"""Requests for keys that cannot sign: stated by another key (RFC 9883), or not signed at all."""

from dataclasses import dataclass

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import issuer_and_serial, read_certificate
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.elements import INTEGER, SEQUENCE, expect, members
from pikaserver.asn1.identifiers import UNSIGNED
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.request_attributes import attribute_value
from pikaserver.asn1.signed_data import attribute

STATEMENT_OF_POSSESSION = "1.3.6.1.4.1.22112.2.1"
"""id-at-statementOfPossession (section 3)."""


@dataclass(frozen=True, slots=True)
class PossessionStatement:
    """By which certificate the request was signed.

    ``signer`` is its IssuerAndSerialNumber, ``certificate`` the whole, where it was sent along.
    """

    signer: bytes
    serial: int
    certificate: bytes | None


def read_statement(csr: CertificationRequest) -> PossessionStatement | None:
    """Return the statement of a request; ``None`` where there is none.

    Raises:
        MalformedRequest: it cannot be read, or the certificate is not the one that it names.
    """
    value = attribute_value(csr, STATEMENT_OF_POSSESSION)
    if value is None:
        return None
    with refusing("statement of possession"):
        signer, *more = members(value, "a statement of possession")
        _, serial = members(value, "an issuer with a serial number", signer.at)
        number = expect(value, serial, INTEGER, "a serial number")
        if len(more) > 1 or any(one.tag != SEQUENCE for one in more):
            raise MalformedRequest("a statement of possession names one certificate, and no more")
        named = value[signer.at : signer.end]
        sent = value[more[0].at : more[0].end] if more else None
        if sent is not None:
            read_certificate(sent)
            if issuer_and_serial(sent) != named:
                raise MalformedRequest("the certificate sent along is not the one that is named")
        return PossessionStatement(named, int.from_bytes(number, "big", signed=True), sent)


def statement_attribute(certificate: bytes, *, send: bool = False) -> bytes:
    """Return the attribute of a request that this certificate's key will sign."""
    sent = certificate if send else b""
    return attribute(STATEMENT_OF_POSSESSION, der.sequence(issuer_and_serial(certificate), sent))


def verify_statement(csr: CertificationRequest, spki: bytes) -> None:
    """Return when the request was signed by this key, which is the signer's, not its own.

    Raises:
        MalformedRequest: it was not, or with an algorithm that proves nothing.
    """
    algorithm = algorithm_of(csr.signature_algorithm)
    try:
        verify(spki, algorithm, csr.signature, csr.tbs, any_salt=True)
    except SignatureFaulty:
        raise MalformedRequest("the request is not signed by the key that it names") from None


def unsigned_request(info: bytes) -> CertificationRequest:
    """Return a request that nobody signed (RFC 9925 section 3.1): what proves it comes beside it.

    Raises:
        MalformedRequest: these are not the octets of a CertificationRequestInfo.
    """
    return read_csr(der.signed(info, UNSIGNED, b""))
