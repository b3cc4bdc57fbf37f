"""Whether an answer holds (RFC 6960 section 3.2), as somebody who asked has to find out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pikaserver.api.errors import MalformedRequest, SignatureFaulty
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import (
    inner_algorithm,
    public_key_of,
    read_certificate,
    subject_of,
)
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.ocsp import FORMS, CertId, issuer_octets, make_cert_id
from pikaserver.asn1.ocsp_reading import BasicAnswer, SingleAnswer

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)

SKEW = timedelta(minutes=5)
"""So much may two clocks differ."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked; ``issuer`` is the certificate of who issued the one in question."""

    issuer: x509.Certificate
    serial: int
    hash_name: str
    nonce: bytes | None

    def cert_ids(self) -> list[CertId]:
        """Return the CertID, as we write it first, in the forms that mean the same."""
        subject, spki = subject_of(self.issuer), public_key_of(self.issuer)
        return [
            make_cert_id(issuer_octets(form, subject, spki), self.serial)
            for form, (name, _) in enumerate(FORMS)
            if name == self.hash_name
        ]


@dataclass(frozen=True, slots=True)
class Verified:
    """An answer that holds, and who gave it.

    ``nonce`` is ``echoed``, ``absent`` although one was sent, or ``not sent``.
    """

    single: SingleAnswer
    signer: x509.Certificate
    algorithm: str
    nonce: str


def verify_answer(basic: BasicAnswer, question: Question, now: datetime) -> Verified:
    """Return what an answer says, once everything about it was found in order.

    Raises:
        SignatureFaulty: something was not; the text says what.
    """
    single = _single(basic, question)
    signer = _signer(basic, question.issuer, now)
    try:
        algorithm = algorithm_of(basic.algorithm)
    except MalformedRequest as error:
        raise SignatureFaulty(str(error)) from None
    verify(public_key_of(signer), algorithm, basic.signature, basic.tbs)
    _check_times(basic, single, now)
    return Verified(single, signer, algorithm, _nonce(basic, question))


def _single(basic: BasicAnswer, question: Question) -> SingleAnswer:
    wanted = {one.der for one in question.cert_ids()}
    for single in basic.answers:
        if single.cert_id.der in wanted:
            return single
    raise SignatureFaulty("the answer is about another certificate")


def _signer(basic: BasicAnswer, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
    """Find who signed: the issuer, or a responder that it certified (section 4.2.2.2)."""
    if _is_responder(basic, issuer):
        return issuer
    for certificate in _enclosed(basic):
        if _is_responder(basic, certificate):
            _check_delegation(certificate, issuer, now)
            return certificate
    raise SignatureFaulty("the responder is not the issuer, and its certificate is not enclosed")


def _enclosed(basic: BasicAnswer) -> Iterator[x509.Certificate]:
    for octets in basic.certificates:
        try:
            yield read_certificate(octets)
        except MalformedRequest:
            continue  # one that we cannot read is not the one that we look for


def _is_responder(basic: BasicAnswer, certificate: x509.Certificate) -> bool:
    if basic.responder_name is not None:
        return basic.responder_name == subject_of(certificate)
    return basic.responder_key_hash == key_identifier(public_key_of(certificate))


def _check_delegation(
    certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> None:
    if certificate.issuer != issuer.subject:
        raise SignatureFaulty("the responder's certificate is from another issuer")
    try:
        tbs = certificate.tbs_certificate_bytes
        verify(public_key_of(issuer), inner_algorithm(tbs), certificate.signature, tbs)
    except (MalformedRequest, SignatureFaulty) as error:
        raise SignatureFaulty(
            f"the responder's certificate is not signed by the issuer: {error}"
        ) from None
    if not certificate.not_valid_before_utc - SKEW <= now <= certificate.not_valid_after_utc + SKEW:
        raise SignatureFaulty("the responder's certificate is not valid now")
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        raise SignatureFaulty("the responder's certificate is not one for OCSP (OCSPSigning)")


def _check_times(basic: BasicAnswer, single: SingleAnswer, now: datetime) -> None:
    if single.this_update > now + SKEW or basic.produced_at > now + SKEW:
        raise SignatureFaulty("the answer is from the future")
    if single.next_update is not None and single.next_update < now - SKEW:
        raise SignatureFaulty(f"the answer has ended: {single.next_update:%Y-%m-%d %H:%M} UTC")


def _nonce(basic: BasicAnswer, question: Question) -> str:
    if question.nonce is None:
        return "not sent"
    if basic.nonce is None:
        return "absent"
    if basic.nonce != question.nonce:
        raise SignatureFaulty("the answer has another nonce, so it is to another question")
    return "echoed"


def is_trusted_until_its_end(certificate: x509.Certificate) -> bool:
    """Tell whether a responder says that nobody shall look for its revocation (4.2.2.2.1)."""
    return _extension(certificate, x509.OCSPNoCheck) is not None


def ocsp_urls(certificate: x509.Certificate) -> list[str]:
    """Return where a certificate says its status can be asked (RFC 5280 section 4.2.2.1)."""
    access = _extension(certificate, x509.AuthorityInformationAccess)
    return [
        one.access_location.value
        for one in access or ()
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    ]


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    found = (one.value for one in certificate.extensions)
    return next((value for value in found if isinstance(value, kind)), None)
