"""Challenges for keys that cannot sign: kept by nobody, for the client brings all of it back."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pikaserver.api.errors import KeyUnavailable, MalformedRequest, RequestRejected
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.key_challenges import ChallengeAnswer, KeyChallenge
from pikaserver.api.operations import Clock, Entropy, Secrets
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.enveloped_data import seal
from pikaserver.asn1.kem_envelopes import KemRecipient
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES

GOOD_FOR = timedelta(minutes=10)
"""How long an answer counts."""

_PURPOSE = "key-challenge"
_SECRET_OCTETS = 32
_TIME_OCTETS = 8
_HASH_OCTETS = 32
_LIMIT_OCTETS = 1024


def answer_proof(secret: bytes, message: bytes) -> bytes:
    """Return what whoever knows the secret says of a message."""
    return hmac.digest(secret, message, "sha256")


@dataclass(frozen=True, slots=True)
class ChallengeBook:
    """Implements ``pikaserver.api.key_challenges.KeyChallenges``, and checks the answers.

    A ticket is sealed: the secret, the request that it is for, and until when it counts.
    """

    secrets: Secrets
    clock: Clock
    entropy: Entropy

    def make(self, request_tbs: bytes, public_key: bytes) -> KeyChallenge:
        """See the protocol."""
        if key_type(public_key) not in KEM_KEY_TYPES:
            raise RequestRejected(f"a key of type {key_type(public_key)} signs its request")
        secret = self.entropy(_SECRET_OCTETS)
        until = int((self.clock() + GOOD_FOR).timestamp()).to_bytes(_TIME_OCTETS, "big")
        ticket = until + hashlib.sha256(request_tbs).digest() + secret
        return KeyChallenge(
            ticket=self.secrets.seal(_PURPOSE, ticket),
            envelope=seal(secret, [KemRecipient(public_key)], self.entropy),
            witness=hashlib.sha256(secret).digest(),
        )

    def check(self, csr: CertificationRequest, answer: ChallengeAnswer) -> None:
        """Return when an answer proves possession of the key of this request.

        Raises:
            MalformedRequest: it does not.
        """
        until, request_hash, secret = self._open(answer.ticket)
        if not hmac.compare_digest(request_hash, hashlib.sha256(csr.tbs).digest()):
            raise MalformedRequest("the challenge was given for another request")
        if self.clock() > until:
            raise MalformedRequest("the challenge is too old; ask for another one")
        if csr.tbs not in answer.message:
            raise MalformedRequest("the answer does not speak of this request")
        if not hmac.compare_digest(answer_proof(secret, answer.message), answer.proof):
            raise MalformedRequest("the answer does not prove possession of the key")

    def _open(self, ticket: bytes) -> tuple[datetime, bytes, bytes]:
        try:
            plain = self.secrets.open(_PURPOSE, ticket[:_LIMIT_OCTETS])
        except (KeyUnavailable, ValueError):
            raise MalformedRequest("that challenge was not given here") from None
        end = _TIME_OCTETS + _HASH_OCTETS
        until = datetime.fromtimestamp(int.from_bytes(plain[:_TIME_OCTETS], "big"), UTC)
        return until, plain[_TIME_OCTETS:end], plain[end:]
