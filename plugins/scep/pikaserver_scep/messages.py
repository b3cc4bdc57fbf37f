"""SCEP's octets to values and back: pkiMessage, CertRep, and what is asked inside (RFC 8894)."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from pikaserver.api.errors import AlgorithmRefused, MalformedRequest, SignatureFaulty
from pikaserver.api.services import ServiceKey
from pikaserver.asn1 import der
from pikaserver.asn1 import scep_attributes as attributes
from pikaserver.asn1.ber import definite
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.digests import digest
from pikaserver.asn1.elements import INTEGER, SEQUENCE, members
from pikaserver.asn1.identifiers import key_algorithm, read_oid, rsa_bits
from pikaserver.asn1.signed_data import DATA, Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signed_data_reading import ReadSignedData, read_signed_data
from pikaserver.asn1.weak_signatures import WEAK_HASHES

LIMIT_OCTETS = 256 * 1024
"""The largest pkiMessage that we read."""
LONGEST_NONCE = 64
LONGEST_TRANSACTION = 255
LARGEST_RSA_BITS = 4096
"""Verifying with a larger key of a stranger's would cost more than it is worth."""
LONGEST_SERIAL = 20
LONGEST_TEXT = 255

_RSA = "1.2.840.113549.1.1.1"


class MessageType(IntEnum):
    """messageType (section 3.2.1.2)."""

    CERT_REP = 3
    RENEWAL_REQ = 17
    PKCS_REQ = 19
    CERT_POLL = 20
    GET_CERT = 21
    GET_CRL = 22


class PkiStatus(IntEnum):
    """pkiStatus (section 3.2.1.3)."""

    SUCCESS = 0
    FAILURE = 2
    PENDING = 3


class FailInfo(IntEnum):
    """failInfo (section 3.2.1.4)."""

    BAD_ALG = 0
    BAD_MESSAGE_CHECK = 1
    BAD_REQUEST = 2
    BAD_TIME = 3
    BAD_CERT_ID = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What an answer repeats; of a message that cannot be read it is empty."""

    transaction: str = "0"
    sender_nonce: bytes | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A pkiMessage whose signature holds; what is in its envelope is not known yet.

    ``certificate`` is the signer's, DER, and may be self-signed; ``public_key`` is its key.
    ``weak`` are the weak algorithms that its signature uses.
    """

    header: Header
    kind: MessageType
    certificate: bytes
    public_key: bytes
    attributes: bytes
    content: bytes
    weak: frozenset[str]
    digest: str
    """The hash of its signature, by our name: the answer's is the same where the key can do it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: ``content`` is an envelope, of a success only."""

    header: Header
    status: PkiStatus
    fail_info: FailInfo | None = None
    text: str = ""
    content: bytes = b""


def read_signed(octets: bytes) -> ReadSignedData:
    """Read the outermost structure, in DER or BER.

    Raises:
        MalformedRequest: it is not a SignedData of one signer with signed attributes.
    """
    return read_signed_data(definite(octets, limit_octets=LIMIT_OCTETS))


def read_header(signed: ReadSignedData) -> Header:
    """Return what the answer repeats.

    Raises:
        MalformedRequest: there is no transactionID, or something is too long.
    """
    transaction = attributes.read_text(signed.values, attributes.TRANSACTION_ID)
    if not transaction or len(transaction) > LONGEST_TRANSACTION:
        raise MalformedRequest(f"a transactionID has 1 to {LONGEST_TRANSACTION} characters")
    nonce = attributes.read_nonce(signed.values, attributes.SENDER_NONCE)
    if nonce is not None and len(nonce) > LONGEST_NONCE:
        raise MalformedRequest(f"a nonce has at most {LONGEST_NONCE} octets")
    return Header(transaction, nonce)


def read_message(signed: ReadSignedData, header: Header, accepted: Collection[str]) -> Message:
    """Verify a message by the certificate in it.

    Args:
        signed: as `read_signed` gives it.
        header: as `read_header` gives it.
        accepted: weak hashes that this template lets in.

    Raises:
        AlgorithmRefused: a weak hash, or a key too large to verify with.
        MalformedRequest: it does not verify, or is of no type.
    """
    certificate = signed.signer()
    public_key = public_key_of(read_certificate(certificate))
    _check_size(public_key)
    weak = {signed.digest, signed.weak_hash or signed.digest}.intersection(WEAK_HASHES)
    for name in sorted(weak.difference(accepted)):
        raise AlgorithmRefused(f"{name.upper()} is not accepted here")
    try:
        signed.verify(certificate, weak=accepted)
    except SignatureFaulty as faulty:
        raise MalformedRequest(str(faulty)) from None
    kind = _message_type(signed)
    return Message(
        header=header,
        kind=kind,
        certificate=certificate,
        public_key=public_key,
        attributes=signed.attributes,
        content=signed.content or b"",
        weak=frozenset(weak),
        digest=signed.weak_hash or signed.digest,
    )


class UnknownMessageType(MalformedRequest):
    """The message is of a type that no client sends, or that only servers send."""


def _message_type(signed: ReadSignedData) -> MessageType:
    text = attributes.read_text(signed.values, attributes.MESSAGE_TYPE) or ""
    for kind in MessageType:
        if text == str(int(kind)) and kind is not MessageType.CERT_REP:
            return kind
    raise UnknownMessageType(f"the messageType {text!r} is not one that is served")


def _check_size(public_key: bytes) -> None:
    if read_oid(key_algorithm(public_key)) == _RSA and rsa_bits(public_key) > LARGEST_RSA_BITS:
        raise AlgorithmRefused(f"RSA keys of more than {LARGEST_RSA_BITS} bits are not accepted")


def read_issuer_and_serial(content: bytes, issuers: Collection[bytes]) -> int:
    """Return the serial number that GetCert and GetCRL ask for (sections 3.3.4 and 3.3.5).

    The issuer has to be one of ours: octets of another message, put here by somebody who
    wants to know them, never begin with its name.

    Raises:
        MalformedRequest: it is something else.
    """
    der.check(content)
    parts = members(content, "an IssuerAndSerialNumber")
    if [part.tag for part in parts] != [SEQUENCE, INTEGER]:
        raise MalformedRequest("not an IssuerAndSerialNumber")
    issuer, serial = parts
    octets = content[serial.start : serial.end]
    if content[issuer.at : issuer.end] not in issuers or len(octets) > LONGEST_SERIAL:
        raise MalformedRequest("not a certificate of this authority")
    return int.from_bytes(octets, "big", signed=True)


def cert_rep(reply: Reply, key: ServiceKey, nonce: bytes) -> bytes:
    """Return a CertRep (section 3.3.2), signed.

    Without an envelope there is still a content, of no octets: BouncyCastle takes a message
    without one for a signature over something that travels elsewhere.
    """
    repeated = reply.header.sender_nonce
    values = [
        attributes.printable(attributes.MESSAGE_TYPE, str(int(MessageType.CERT_REP))),
        attributes.printable(attributes.PKI_STATUS, str(int(reply.status))),
        attributes.printable(attributes.TRANSACTION_ID, reply.header.transaction),
        attributes.nonce(attributes.SENDER_NONCE, nonce),
    ]
    if repeated is not None:
        values.append(attributes.nonce(attributes.RECIPIENT_NONCE, repeated))
    if reply.fail_info is not None:
        values.append(attributes.printable(attributes.FAIL_INFO, str(int(reply.fail_info))))
    if reply.text:
        values.append(attributes.utf8(attributes.FAIL_INFO_TEXT, _shown(reply.text)))
    return signed_message(reply.content, key, *values)


def signed_message(
    content: bytes, key: ServiceKey, *values: bytes, certificates: Collection[bytes] = ()
) -> bytes:
    """Return SignedData over data, with the signer's certificate first."""
    wanted = digest(digest_of(key.algorithm), content)
    octets = signed_attributes(DATA, wanted, *values)
    signature = key.sign(octets, content)
    signed = Signed(key.certificate, key.algorithm, octets, signature)
    return signed_data(DATA, content, signed, (key.certificate, *certificates))


def _shown(text: str) -> str:
    """Return a text that steers no terminal."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown[:LONGEST_TEXT]
