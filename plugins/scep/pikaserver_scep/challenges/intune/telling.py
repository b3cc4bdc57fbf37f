"""The job that tells Intune how requests ended, in its own time and until it has heard."""

import hashlib
import logging
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pikaserver.api.certificates import CertificateQuery, CertificateRecord
from pikaserver.api.errors import NotFound, RequestRejected, Unavailable
from pikaserver.api.issuance import RequestState
from pikaserver.api.operations import Alarm
from pikaserver.api.server import Server
from pikaserver.asn1.csr import read_csr
from pikaserver_scep.challenges.intune.states import (
    FAILURE,
    RECONCILE,
    SUCCESS,
    IntuneRequest,
    IntuneRequests,
)
from pikaserver_scep.challenges.intune.validation import Failure, Success, Validation

EVERY = timedelta(seconds=15)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
PATIENCE = timedelta(days=7)
"""After this time without an answer Intune is not told any more."""

REFUSED = 0xA0070001
"""hResult: a rule of ours refused the request (customer code, facility 7)."""
UNFINISHED = 0xA0070002
"""hResult: it was never finished, or a person declined it."""

_log = logging.getLogger(__name__)


class Notifications:
    """One connector's notifications."""

    def __init__(
        self,
        connector: str,
        server: Server,
        requests: IntuneRequests,
        validation: Validation,
        give_up: timedelta,
    ) -> None:
        self._connector = connector
        self._server = server
        self._requests = requests
        self._validation = validation
        self._give_up = give_up

    def run(self) -> None:
        """Look at all that is due."""
        for known in self._requests.due(self._connector):
            if known.state in (SUCCESS, FAILURE):
                self._tell(known)
            else:
                self._reconcile(known)

    def _tell(self, known: IntuneRequest) -> None:
        try:
            if known.state == SUCCESS:
                success = _success(self._record(known))
                self._validation.tell_success(known.transaction, known.csr, success)
            else:
                why = known.error or "no certificate was issued"
                failure = Failure(REFUSED if known.request_id is None else UNFINISHED, why)
                self._validation.tell_failure(known.transaction, known.csr, failure)
        except Unavailable as error:
            self._later(known, str(error))
        except RequestRejected as error:
            self._give_in(known, str(error))
        else:
            self._requests.told(known)

    def _later(self, known: IntuneRequest, why: str) -> None:
        now = self._server.clock()
        if now >= known.created_at + PATIENCE:
            self._give_in(known, why)
            return
        wait = min(FIRST_WAIT * (1 << min(known.attempts, 10)), LONGEST_WAIT)
        self._requests.try_again(known, now + wait, why)

    def _give_in(self, known: IntuneRequest, why: str) -> None:
        self._requests.told(known, why)
        self._server.announce(
            Alarm(
                "scep.intune-not-told",
                f"Intune does not take the outcome of a request: {why}",
                {"connector": self._connector, "transaction": known.transaction},
            )
        )

    def _reconcile(self, known: IntuneRequest) -> None:
        """Find out how a request ended whose end nobody has told."""
        now = self._server.clock()
        record = self._issued(known)
        if record is not None:
            self._requests.succeed(known, record.id)
        elif known.request_id is not None:
            self._decided(known, known.request_id, now)
        elif now >= known.created_at + self._give_up:
            self._requests.fail(known, "the request was never finished")
        else:
            self._requests.wait(known, None, now + RECONCILE)

    def _decided(self, known: IntuneRequest, request_id: int, now: datetime) -> None:
        try:
            request = self._server.requests.get(request_id)
        except NotFound:
            self._requests.fail(known, "the request is no longer there")
            return
        if request.certificate_id is not None:
            self._requests.succeed(known, request.certificate_id)
        elif request.state is RequestState.DECLINED:
            self._requests.fail(known, f"declined: {request.comment or 'no reason was given'}")
        else:
            self._requests.wait(known, request_id, now + RECONCILE)

    def _issued(self, known: IntuneRequest) -> CertificateRecord | None:
        spki = read_csr(known.csr).public_key
        query = CertificateQuery(
            key_hash=hashlib.sha256(spki).hexdigest(), template=known.template, limit=1
        )
        found = [one for one in self._server.certificates.find(query) if one.certificate]
        return found[0] if found and found[0].issued_at >= known.created_at else None

    def _record(self, known: IntuneRequest) -> CertificateRecord:
        if known.certificate_id is None:
            raise RequestRejected("the certificate is not on record")
        return self._server.certificates.get(known.certificate_id)


def _success(record: CertificateRecord) -> Success:
    if record.certificate is None:
        raise RequestRejected("the certificate was never finished")
    certificate = x509.load_der_x509_certificate(record.certificate)
    return Success(
        # Windows and Intune know certificates by their SHA-1.
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name
        serial=f"{certificate.serial_number:X}",
        not_after=certificate.not_valid_after_utc,
        issuer=certificate.issuer.rfc4514_string(),
    )
