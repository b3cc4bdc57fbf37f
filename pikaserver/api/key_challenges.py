"""Proof of possession of keys that cannot sign: a secret sealed for the key, told back."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyChallenge:
    """A secret for whoever has the private key of a request.

    ``envelope`` is EnvelopedData (RFC 5652) with the secret, ``witness`` the SHA-256 of it, by
    which the client sees that it read right.  ``ticket`` comes back with the answer; to the
    client it says nothing.
    """

    ticket: bytes
    envelope: bytes = field(repr=False)
    witness: bytes


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """What comes back: ``proof`` is HMAC-SHA256, keyed with the secret, over ``message``.

    The message is what the protocol says, the request in it.
    """

    ticket: bytes
    message: bytes = field(repr=False)
    proof: bytes = field(repr=False)


class KeyChallenges(Protocol):
    """Makes challenges; who takes the answers is `Server.enroll`."""

    def make(self, request_tbs: bytes, public_key: bytes) -> KeyChallenge:
        """Return a challenge for the key (SPKI) of a request, good for a few minutes.

        Raises:
            MalformedRequest: the key is not well formed.
            RequestRejected: the key signs, or nothing here encrypts to it.
        """
        ...
