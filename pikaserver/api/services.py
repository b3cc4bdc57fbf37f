"""Keys of the server's own services: OCSP responders, time-stamp units, registration authorities.

A service asks for the key that it answers with; the certificate over it is made by the authority
that it speaks for, kept among the issued ones, renewed in time, and replaced once it is revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pikaserver.api.signing import KeyTransport


@dataclass(frozen=True, slots=True)
class ServiceUse:
    """What a key is for.

    ``service`` is ``ocsp``, ``tsa``, ... and names the template of its certificate unless the
    authority's settings name another one; ``title`` follows the authority's name in the
    subject; ``generation`` is one of the authority's keys, by default the current one;
    ``unit`` tells several keys of the same service apart; ``key_usage`` narrows what the
    template lets the key be used for, where each of them has its own part.
    """

    service: str
    title: str
    authority: str
    generation: int | None = None
    unit: str = ""
    key_usage: tuple[str, ...] = ()


class ServiceKey(Protocol):
    """A key that a service answers with; it signs for this service and nothing else."""

    @property
    def certificate(self) -> bytes:
        """Its certificate, DER."""
        ...

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates above, from the issuer to the root."""
        ...

    @property
    def algorithm(self) -> str:
        """Our name of the signature algorithm, from ``pikaserver.asn1.algorithms``."""
        ...

    def sign(self, tbs: bytes, content: bytes = b"") -> bytes:
        """Return the signature over these octets, verified.

        A key of ``ocsp`` signs the ResponseData of answers, one of ``scep`` the signed
        attributes of SCEP messages, any other the signed attributes of a CMS message
        (RFC 5652): nothing that could be a certificate, a CRL or a CSR.

        ``content`` is what signed attributes stand for (RFC 5652), for keys whose keeper
        wants to see it.

        Raises:
            KeyUnavailable: the key cannot sign now.
            SignatureFaulty: what came back does not verify.
            RequestRejected: the key's keeper, or its use, forbids it.
        """
        ...

    def with_hash(self, name: str) -> "ServiceKey":
        """Return this RSA key as one that signs over another hash: ``sha512``.

        Over ``sha1`` and ``md5`` it signs nothing but the signed attributes of SCEP messages.

        Raises:
            Conflict: this key, or where it lives, does not.
            RequestRejected: its keeper forbids it.
        """
        ...


class DecryptionKey(Protocol):
    """A key of a service to which clients encrypt."""

    @property
    def certificate(self) -> bytes:
        """Its certificate, DER."""
        ...

    def decrypt(self, encrypted_key: bytes, transport: KeyTransport) -> bytes:
        """See ``pikaserver.api.signing.Decrypter``."""
        ...


class ServiceKeys(Protocol):
    """Where services get their keys."""

    def get(self, use: ServiceUse) -> ServiceKey:
        """Return the key to answer with now; it is made, or its certificate renewed, when due.

        Asking again costs next to nothing, so a service asks for each answer.

        Raises:
            PikaserverError: there is none and none can be made; the text says why.
        """
        ...

    def authority_key(self, authority: str, generation: int | None = None) -> ServiceKey:
        """Return an authority's own key, which signs OCSP answers (RFC 6960) for it.

        An RSA key answers SCEP for it, too (RFC 8894).  It refuses whatever is neither the
        ResponseData of an answer nor the signed attributes of a SCEP message.

        Raises:
            NotFound: no such authority or generation.
            Conflict: its key is elsewhere.
        """
        ...

    def decryption_keys(self, use: ServiceUse) -> Sequence[DecryptionKey]:
        """Return the RSA keys of a use whose certificates still count, newest first.

        Clients keep a certificate for a while, so one that was replaced decrypts until it
        expires.  None is made: `get` does that.
        """
        ...

    def authority_decryption_key(
        self, authority: str, generation: int | None = None
    ) -> DecryptionKey:
        """Return an authority's own RSA key, to which its SCEP clients encrypt.

        Raises:
            NotFound: no such authority or generation.
            Conflict: its key is elsewhere, or it cannot decrypt.
        """
        ...
