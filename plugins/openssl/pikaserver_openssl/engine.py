"""What both engines promise, and what they call keys and ways to sign; standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol


class EngineFault(Exception):
    """What OpenSSL could not do, in one sentence."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What OpenSSL calls a type of key: to make one, and to look for who signs with it."""

    name: str
    signature: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """How to sign: with which hash, and with which padding; ML-DSA and SLH-DSA know neither."""

    digest: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def _kinds() -> Mapping[str, Kind]:
    curves = {
        "ec-p256": "P-256",
        "ec-p384": "P-384",
        "ec-p521": "P-521",
        "ec-secp256k1": "secp256k1",
    }
    found = {
        f"rsa-{bits}": Kind("RSA", "RSA", {"rsa_keygen_bits": bits})
        for bits in ("2048", "3072", "4096")
    }
    found |= {
        name: Kind("EC", "ECDSA", {"ec_paramgen_curve": curve}) for name, curve in curves.items()
    }
    # Of the spellings of ML-DSA this is the one that oqsprovider and OpenSSL share.
    unhashed = ["ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87"]
    found |= {name.replace("mldsa", "ml-dsa-"): Kind(name, name) for name in unhashed}
    sizes = ("128s", "128f", "192s", "192f", "256s", "256f")
    names = [f"slh-dsa-{family}-{size}" for family in ("sha2", "shake") for size in sizes]
    return MappingProxyType(found | {name: Kind(name, name) for name in names})


KINDS = _kinds()
"""By our names of key types."""


def way_of(family: str, digest: str | None) -> Way:
    """Return how to sign for a family and a hash of our table of algorithms."""
    if family != "rsa-pss":
        return Way(digest)
    # RFC 4055 section 3.1: the salt is as long as the hash.
    return Way(digest, {"rsa_padding_mode": "pss", "rsa_pss_saltlen": "digest"})


class OpenedKey(Protocol):
    """A private key that an engine is ready to sign with."""

    @property
    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        ...

    @property
    def takes_mu(self) -> bool:
        """Whether the engine says that it signs mu (FIPS 204 algorithm 7)."""
        ...

    def sign(self, message: bytes, way: Way) -> bytes:
        """Return the signature over a message.

        Raises:
            EngineFault: OpenSSL did not make one.
        """
        ...

    def sign_mu(self, mu: bytes) -> bytes:
        """Return the ML-DSA signature over the message that these 64 octets stand for.

        Raises:
            EngineFault: OpenSSL did not make one.
        """
        ...


class Engine(Protocol):
    """One way to reach an OpenSSL."""

    @property
    def title(self) -> str:
        """What it is: engine and version."""
        ...

    @property
    def offered(self) -> Mapping[str, str]:
        """The key types that can be used, with the name of the provider of each."""
        ...

    def generate(self, key_type: str) -> bytes:
        """Return a fresh private key as PKCS#8 DER.

        Raises:
            EngineFault: it cannot be made.
        """
        ...

    def open(self, pkcs8: bytes) -> OpenedKey:
        """Get a private key (PKCS#8 DER) ready.

        Raises:
            EngineFault: OpenSSL cannot read it.
        """
        ...
