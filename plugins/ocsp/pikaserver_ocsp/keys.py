"""The keys that answers are signed with, ready to use, and the choice between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from pikaserver.api.certificates import Certificates
from pikaserver.api.errors import MalformedRequest, PikaserverError
from pikaserver.api.services import ServiceKey, ServiceKeys, ServiceUse
from pikaserver.asn1.algorithms import algorithm_of
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.ocsp_writing import by_key, by_name
from pikaserver_ocsp.issuers import Issuer
from pikaserver_ocsp.settings import OcspSettings, Terms

OWN = 0
"""Stands for the authority's own key where the number of a responder's certificate is kept."""


@dataclass(frozen=True, slots=True)
class ResponderKey:
    """A key with what answers say of it.

    ``responder_id`` is DER.  ``certificate_id`` is the number of the responder's certificate
    and ``serial`` its serial number; `OWN` and ``None`` for an authority's own key.
    ``enclosed`` are the certificates that go along with an answer.
    """

    key: ServiceKey
    responder_id: bytes
    certificate_id: int
    serial: int | None
    not_after: datetime
    enclosed: tuple[bytes, ...]


class ResponderKeys:
    """Asks the server for keys, and remembers what is known of each."""

    def __init__(
        self, services: ServiceKeys, certificates: Certificates, settings: OcspSettings
    ) -> None:
        self._services = services
        self._certificates = certificates
        self._settings = settings
        self._known: dict[tuple[bytes, str], ResponderKey] = {}

    def get(self, issuer: Issuer, unit: str) -> ResponderKey:
        """Return the key that answers for an issuer.

        Raises:
            PikaserverError: there is none now; the text says why.
        """
        terms = self._settings.terms(issuer.authority)
        number = issuer.generation.number
        if terms.signer == "own" and not unit:
            key = self._services.authority_key(issuer.authority, number)
        else:
            key = self._services.get(ServiceUse("ocsp", "OCSP", issuer.authority, number, unit))
        known = self._known.get((key.certificate, unit))
        if known is None or known.key != key:
            own = terms.signer == "own" and not unit
            known = self._known[key.certificate, unit] = self._described(key, terms, own=own)
        return known

    def unit(self, issuer: Issuer, preferred: Sequence[bytes]) -> str:
        """Return which responder signs as a client prefers (RFC 6960 section 4.4.7.2).

        It is the first one, and that of no name, where none does.
        """
        units = self._settings.terms(issuer.authority).units
        if not units or not preferred:
            return ""
        algorithms = {name: unit for unit, name in self._algorithms(issuer, ("", *units))}
        return next((algorithms[name] for name in _names(preferred) if name in algorithms), "")

    def _algorithms(self, issuer: Issuer, units: Sequence[str]) -> Iterator[tuple[str, str]]:
        for unit in reversed(units):
            try:
                yield unit, self.get(issuer, unit).key.algorithm
            except PikaserverError:
                continue  # it cannot sign now, so it is no choice

    def _described(self, key: ServiceKey, terms: Terms, *, own: bool) -> ResponderKey:
        certificate = x509.load_der_x509_certificate(key.certificate)
        named = terms.responder_id == "name"
        responder_id = (
            by_name(subject_of(certificate)) if named else by_key(public_key_of(certificate))
        )
        return ResponderKey(
            key=key,
            responder_id=responder_id,
            certificate_id=OWN if own else self._certificates.by_certificate(key.certificate).id,
            serial=None if own else certificate.serial_number,
            not_after=certificate.not_valid_after_utc,
            # Whoever asks has the issuer's certificate, for without it there is no CertID.
            enclosed=() if own else (key.certificate,),
        )


def _names(preferred: Sequence[bytes]) -> Iterator[str]:
    for identifier in preferred:
        try:
            yield algorithm_of(identifier)
        except MalformedRequest:
            continue  # one that we do not know
