"""The responder (RFC 6960): octets of a request in, octets of the answer out; no HTTP here."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pikaserver.api.certificates import Certificates, SerialStatus
from pikaserver.api.errors import (
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
    TooLarge,
    Unavailable,
)
from pikaserver.asn1.ocsp import BASIC, CertId, ResponseStatus, write_nonce
from pikaserver.asn1.ocsp_requests import OcspRequest, read_request
from pikaserver.asn1.ocsp_writing import EXTENDED_REVOKED, error_response
from pikaserver_ocsp.counting import NOBODY, Counts
from pikaserver_ocsp.issuers import Issuer, Issuers
from pikaserver_ocsp.kept import KeptAnswer
from pikaserver_ocsp.keys import ResponderKeys
from pikaserver_ocsp.presigned import Later, Presigned
from pikaserver_ocsp.requestors import Requestors
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.signing import (
    NEVER_ISSUED,
    NOT_KNOWN,
    AnswerSigning,
    Statement,
    statement,
)
from pikaserver_ocsp.tripwire import Tripwire

ERRORS: Mapping[type[PikaserverError], ResponseStatus] = {
    PikaserverError: ResponseStatus.INTERNAL_ERROR,
    MalformedRequest: ResponseStatus.MALFORMED_REQUEST,
    TooLarge: ResponseStatus.MALFORMED_REQUEST,
    Unavailable: ResponseStatus.TRY_LATER,
    NotAuthenticated: ResponseStatus.SIG_REQUIRED,
    NotAllowed: ResponseStatus.UNAUTHORIZED,
    NotFound: ResponseStatus.UNAUTHORIZED,
    # The authority's key is elsewhere, or it is revoked: nobody can speak for it here.
    Conflict: ResponseStatus.UNAUTHORIZED,
}

SERIAL_BITS = 160
"""No serial number of ours is longer (RFC 5280 section 4.1.2.2)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """The octets of an OCSPResponse; ``kept`` where it is one for all who ask."""

    octets: bytes
    kept: KeptAnswer | None = None
    authority: str = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """Answers requests."""

    settings: OcspSettings
    issuers: Issuers
    keys: ResponderKeys
    signing: AnswerSigning
    presigned: Presigned
    certificates: Certificates
    requestors: Requestors
    tripwire: Tripwire
    counts: Counts
    later: Later

    def answer(
        self, octets: bytes, authority: str | None = None, address: str | None = None
    ) -> Answer:
        """Answer a request; whatever goes wrong is one of OCSP's own errors.

        Args:
            octets: the request as it came.
            authority: the only one that answers here, ``None`` for all of ours.
            address: who asks, for the alarm about serial numbers that were never given out.
        """
        try:
            return self._answer(read_request(octets), authority, address)
        except PikaserverError as error:
            return self.error(error)

    def error(self, error: PikaserverError) -> Answer:
        """Return what is answered instead when something went wrong."""
        status = next(ERRORS[kind] for kind in type(error).__mro__ if kind in ERRORS)
        if status is ResponseStatus.INTERNAL_ERROR:
            _log.error("no answer", exc_info=error, extra={"event": "ocsp.failed"})
        self.counts.answered(NOBODY, status.rfc_name)
        return Answer(error_response(status))

    def _answer(self, request: OcspRequest, authority: str | None, address: str | None) -> Answer:
        if request.acceptable is not None and BASIC not in request.acceptable:
            raise NotAllowed("the client takes no basic response, and there is no other one")
        self.requestors.check(request)
        asked = [(one, self._issuer(one, authority)) for one in request.cert_ids]
        speaker = next((issuer for _, issuer in asked if issuer is not None), None)
        if speaker is None:
            raise NotFound("none of these certificates is of an authority that answers here")
        terms = self.settings.terms(speaker.authority)
        unit = self.keys.unit(speaker, request.preferred)
        nonce = request.nonce if terms.nonce == "echo" else None
        if len(asked) == 1 and nonce is None:
            return self._common(speaker, asked[0][0], unit) or self._own(
                asked, speaker, unit, None, address
            )
        try:
            return self._own(asked, speaker, unit, nonce, address)
        except Unavailable:
            # Whether an answer that is in time but without the nonce will do, is for the client
            # to say; without a key there is no other one.
            kept = self._common(speaker, asked[0][0], unit) if len(asked) == 1 else None
            if kept is None:
                raise
            return kept

    def _issuer(self, cert_id: CertId, authority: str | None) -> Issuer | None:
        found = self.issuers.find(cert_id.issuer)
        if found is None or authority not in (None, found.authority):
            return None
        return found

    def _common(self, issuer: Issuer, cert_id: CertId, unit: str) -> Answer | None:
        """Return the answer for everybody who asks for one certificate that was issued."""
        if not _may_be_ours(cert_id):
            return None
        kept = self.presigned.get(issuer, cert_id.serial, unit, self.later)
        if kept is None:
            return None
        self.counts.answered(issuer.authority, kept.word)
        return Answer(kept.octets, kept, issuer.authority)

    def _own(
        self,
        asked: Sequence[tuple[CertId, Issuer | None]],
        speaker: Issuer,
        unit: str,
        nonce: bytes | None,
        address: str | None,
    ) -> Answer:
        """Return an answer for this requestor alone."""
        statuses = self._statuses(asked)
        said = [self._statement(one, issuer, statuses, address) for one, issuer in asked]
        if None in said and len(said) == 1:
            raise NotFound("the serial number was never given out")
        statements = [
            (cert_id.der, issuer or speaker, one or NOT_KNOWN)
            for (cert_id, issuer), one in zip(asked, said, strict=True)
        ]
        extensions = [EXTENDED_REVOKED] if NEVER_ISSUED in said else []
        if nonce is not None:
            extensions.append(write_nonce(nonce))
        try:
            octets = self.signing.answer(speaker, unit, statements, extensions)
        except RequestRejected as refusal:
            if all(issuer is speaker for _, issuer in asked):
                raise
            raise NotAllowed("the responder's key speaks for one authority only") from refusal
        for _, issuer, one in statements:
            self.counts.answered(issuer.authority, one.word)
        return Answer(octets, authority=speaker.authority)

    def _statuses(
        self, asked: Sequence[tuple[CertId, Issuer | None]]
    ) -> dict[int, Mapping[int, SerialStatus]]:
        """Return the status of all serial numbers, by generation."""
        serials: dict[int, list[int]] = {}
        for cert_id, issuer in asked:
            if issuer is not None and _may_be_ours(cert_id):
                serials.setdefault(issuer.generation.id, []).append(cert_id.serial)
        return {
            generation_id: self.certificates.status(generation_id, numbers)
            for generation_id, numbers in serials.items()
        }

    def _statement(
        self,
        cert_id: CertId,
        issuer: Issuer | None,
        statuses: Mapping[int, Mapping[int, SerialStatus]],
        address: str | None,
    ) -> Statement | None:
        """Return what is to be said of one certificate; ``None`` for better nothing at all."""
        if issuer is None:
            return NOT_KNOWN
        status = statuses.get(issuer.generation.id, {}).get(cert_id.serial)
        if status is not None:
            return statement(status)
        self.tripwire.touched(issuer.authority, cert_id.serial, address)
        return _NEVER_ISSUED[self.settings.terms(issuer.authority).never_issued]


_NEVER_ISSUED = {"unknown": NOT_KNOWN, "revoked": NEVER_ISSUED, "unauthorized": None}


def _may_be_ours(cert_id: CertId) -> bool:
    return 0 < cert_id.serial < 1 << SERIAL_BITS
