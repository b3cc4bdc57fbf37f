"""Keys that the server makes for others, who cannot make good ones themselves."""

from dataclasses import dataclass, field
from typing import Protocol

from pikaserver.api.issuance import CertificationRequest


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A fresh private key (PKCS#8 in DER), and a request that is signed with it."""

    pkcs8: bytes = field(repr=False)
    csr: CertificationRequest


class KeyGenerator(Protocol):
    """Makes keys for others; nothing of them is kept."""

    def generate(self, key_type: str, wish: CertificationRequest) -> GeneratedKey:
        """Return a key, and a request by it for the subject and the extensions of another one.

        Raises:
            RequestRejected: no key of this type is made here.
        """
        ...
