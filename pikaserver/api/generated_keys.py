"""Keys that the server makes for others, who cannot make good ones themselves."""

from dataclasses import dataclass, field
from typing import Protocol

from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.key_challenges import ChallengeAnswer


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A fresh private key (PKCS#8 in DER), and a request that is signed with it.

    The request of a key that cannot sign is not signed: ``answer`` proves possession.
    """

    pkcs8: bytes = field(repr=False)
    csr: CertificationRequest
    answer: ChallengeAnswer | None = None


class KeyGenerator(Protocol):
    """Makes keys for others; nothing of them is kept."""

    def generate(self, key_type: str, wish: CertificationRequest) -> GeneratedKey:
        """Return a key, and a request by it for the subject and the extensions of another one.

        Raises:
            RequestRejected: no key of this type is made here.
        """
        ...
