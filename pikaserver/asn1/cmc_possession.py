"""Proof of possession in a second round of CMC: EncryptedPOP and DecryptedPOP (RFC 5272 6.7)."""

from dataclasses import dataclass, field

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.digests import DIGEST_OIDS
from pikaserver.asn1.elements import INTEGER, OCTET_STRING, SEQUENCE, expect, members
from pikaserver.asn1.identifiers import identifier, read_oid
from pikaserver.asn1.refusing import refusing

_HMAC_SHA256 = "1.2.840.113549.2.9"
_HMAC = identifier(_HMAC_SHA256)
_WITNESS = identifier(DIGEST_OIDS["sha256"])


@dataclass(frozen=True, slots=True)
class DecryptedPop:
    """What a client computed with the secret, over the request of this number."""

    body_part: int
    proof: bytes = field(repr=False)


def write_encrypted_pop(tagged_request: bytes, envelope: bytes, witness: bytes) -> bytes:
    """Return EncryptedPOP: the request, a secret sealed for its key, and the secret's SHA-256."""
    return der.sequence(tagged_request, envelope, _HMAC, _WITNESS, der.octet_string(witness))


def write_decrypted_pop(answer: DecryptedPop) -> bytes:
    """Return DecryptedPOP."""
    return der.sequence(der.integer(answer.body_part), _HMAC, der.octet_string(answer.proof))


def read_encrypted_pop(value: bytes) -> tuple[bytes, bytes, bytes]:
    """Return request, envelope and witness of EncryptedPOP, as a client reads them.

    Raises:
        MalformedRequest: it cannot be read, or wants other algorithms than ours.
    """
    der.check(value)
    with refusing("EncryptedPOP"):
        request, envelope, mac, hashed, witness = members(value, "EncryptedPOP")
        algorithms = value[mac.at : mac.end], value[hashed.at : hashed.end]
        if algorithms != (_HMAC, _WITNESS) or envelope.tag != SEQUENCE:
            raise MalformedRequest("EncryptedPOP with other algorithms than SHA-256 and its HMAC")
        told = expect(value, witness, OCTET_STRING, "a witness")
        return value[request.at : request.end], value[envelope.at : envelope.end], told


def read_decrypted_pop(value: bytes) -> DecryptedPop:
    """Read DecryptedPOP.

    Raises:
        MalformedRequest: it cannot be read, or its algorithm is not HMAC with SHA-256.
    """
    der.check(value)
    with refusing("DecryptedPOP"):
        number, mac, proof = members(value, "DecryptedPOP")
        if read_oid(value[mac.at : mac.end]) != _HMAC_SHA256:
            raise MalformedRequest("DecryptedPOP is taken with HMAC-SHA256 alone")
        body_part = expect(value, number, INTEGER, "the number of a body part")
        return DecryptedPop(
            int.from_bytes(body_part, "big", signed=True),
            expect(value, proof, OCTET_STRING, "a proof"),
        )
