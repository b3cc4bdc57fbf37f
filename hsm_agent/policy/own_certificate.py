"""The certificate that a key signs under: checked when it comes, read when it is needed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hsm_agent.structures.algorithms import key_octets
from hsm_agent.structures.certificate import TbsCertificate, read_tbs_certificate
from hsm_agent.structures.der import Malformed, children, encoded, whole

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
TIME_STAMPING = "1.3.6.1.5.5.7.3.8"

_MOST_ABOVE = 8

_Identifier = x509.SubjectKeyIdentifier


class NotOurs(Exception):
    """The certificate is not one that this key can sign under; the text says why."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """What decisions need of an issuer's certificate; names and keys are DER."""

    subject: bytes
    issuer: bytes
    serial: int
    public_key: bytes
    key_identifier: bytes
    not_after: datetime
    is_authority: bool
    path_length: int | None
    purposes: tuple[str, ...]


@lru_cache(maxsize=256)
def read_own_certificate(certificate: bytes) -> OwnCertificate:
    """Read a certificate; those of keys come again and again, so they are remembered.

    Raises:
        Malformed: it is no certificate, or not a strict one.
    """
    tbs = _tbs(certificate)
    found = tbs.extensions.get(x509.SubjectKeyIdentifier.oid.dotted_string)
    named = found.value.digest if found and isinstance(found.value, _Identifier) else None
    return OwnCertificate(
        subject=tbs.subject,
        issuer=tbs.issuer,
        serial=tbs.serial,
        public_key=tbs.public_key,
        key_identifier=named or key_hash(tbs.public_key, "sha1"),
        not_after=tbs.not_after,
        is_authority=tbs.is_ca,
        path_length=tbs.path_length,
        purposes=tbs.purposes or (),
    )


def key_hash(public_key: bytes, hash_name: str) -> bytes:
    """Return the hash of subjectPublicKey, as OCSP and key identifiers take it."""
    return hashlib.new(hash_name, key_octets(public_key), usedforsecurity=False).digest()


def check_own_certificate(
    public_key: bytes, certificates: tuple[bytes, ...], held: bytes | None
) -> None:
    """Return when a key may take a certificate, and the chain above it, for its own.

    It is over this key and CA:TRUE, or for OCSP answers or time-stamps; where one is ``held``
    already the subject is the same; what follows has signed what stands before it.

    Args:
        public_key: SubjectPublicKeyInfo in DER.
        certificates: DER, the key's own first.
        held: the certificate that the key has now.

    Raises:
        NotOurs: it may not.
    """
    if not 1 <= len(certificates) <= 1 + _MOST_ABOVE:
        raise NotOurs(f"one certificate and at most {_MOST_ABOVE} above it were expected")
    try:
        own = read_own_certificate(certificates[0])
        before = read_own_certificate(held) if held is not None else own
        _check_chain(certificates)
    except Malformed as broken:
        raise NotOurs(f"a certificate cannot be read: {broken}") from None
    if own.public_key != public_key:
        raise NotOurs("the certificate is not over this key")
    if not own.is_authority and not {OCSP_SIGNING, TIME_STAMPING} & {*own.purposes}:
        raise NotOurs("the certificate is none of an authority, an OCSP responder or a TSA")
    if own.subject != before.subject:
        raise NotOurs("the key has a certificate with another subject")


def _check_chain(certificates: tuple[bytes, ...]) -> None:
    read = [_loaded(one) for one in certificates if _tbs(one)]
    for subject, issuer in pairwise(read):
        try:
            subject.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise NotOurs("a certificate of the chain is not signed by the next one") from None


def _loaded(certificate: bytes) -> x509.Certificate:
    """Load what stands around the signed part, too: its algorithm and signature."""
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise Malformed(str(error)) from error


def _tbs(certificate: bytes) -> TbsCertificate:
    parts = children(certificate, whole(certificate, "certificate"))
    if len(parts) != 3:  # noqa: PLR2004 - what is signed, the algorithm, the signature
        raise Malformed("not a certificate")
    return read_tbs_certificate(encoded(certificate, parts[0]))
