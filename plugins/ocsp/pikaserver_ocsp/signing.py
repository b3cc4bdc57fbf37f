"""From the status of serial numbers to signed answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pikaserver.api.certificates import Revocation, RevocationReason, SerialStatus
from pikaserver.api.errors import KeyUnavailable, PikaserverError
from pikaserver.api.operations import Clock
from pikaserver.asn1.ocsp import make_cert_id
from pikaserver.asn1.ocsp_writing import (
    GOOD,
    UNKNOWN,
    archive_cutoff,
    invalidity_date,
    response,
    response_data,
    revoked,
    signed_part,
    single_response,
)
from pikaserver_ocsp.counting import Counts
from pikaserver_ocsp.issuers import Issuer
from pikaserver_ocsp.kept import AnswerKey, KeptAnswer
from pikaserver_ocsp.keys import ResponderKey, ResponderKeys
from pikaserver_ocsp.settings import OcspSettings

SHORTLY = timedelta(minutes=5)
"""How long an answer counts about what may be issued any moment."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is to be said of a certificate.

    ``status`` is a CertStatus, ``extensions`` are single ones, all in DER; ``word`` tells
    the same to people.  ``lasts`` is whether it counts as long as the terms say.
    """

    word: str
    status: bytes
    extensions: tuple[bytes, ...] = ()
    lasts: bool = True

    @property
    def octets(self) -> bytes:
        """Return what two statements that say the same have in common."""
        return self.status + b"".join(self.extensions)


NOT_KNOWN = Statement("unknown", UNKNOWN, lasts=False)
"""About certificates of strangers, and those that are not made yet."""

NEVER_ISSUED = Statement(
    "revoked",
    revoked(Revocation(datetime(1970, 1, 1, tzinfo=UTC), RevocationReason.CERTIFICATE_HOLD)),
    lasts=False,
)
"""What RFC 6960 section 2.2 says of certificates that were never issued."""

_GOOD = Statement("good", GOOD)


def statement(status: SerialStatus) -> Statement:
    """Return what is to be said of a serial number that is taken."""
    if status.revocation is None:
        return _GOOD if status.issued else NOT_KNOWN
    since = status.revocation.invalidity_at
    extensions = () if since is None else (invalidity_date(since),)
    return Statement("revoked", revoked(status.revocation), extensions)


class AnswerSigning:
    """Signs answers with the responders' keys."""

    def __init__(
        self, keys: ResponderKeys, settings: OcspSettings, counts: Counts, clock: Clock
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._counts = counts
        self._clock = clock

    def keep(self, issuer: Issuer, serial: int, said: Statement, unit: str) -> KeptAnswer:
        """Return an answer about one certificate that can be given to everybody.

        Raises:
            KeyUnavailable: the responder's key cannot sign now.
            PikaserverError: there is no responder; the text says why.
        """
        key, now = self._key(issuer, unit), self._now()
        next_update = self._next_update(issuer, said, key, now)
        single = self._single(issuer, make_cert_id(issuer.octets, serial).der, said, key, now)
        signed = self._sign(issuer, unit, key, response_data(key.responder_id, now, [single]))
        return KeptAnswer(
            key=AnswerKey(issuer.generation.id, serial, issuer.form, unit),
            status=said.octets,
            signer=key.certificate_id,
            signer_serial=key.serial,
            this_update=now,
            next_update=next_update,
            signed=signed,
            enclosed=key.enclosed,
        )

    def answer(
        self,
        speaker: Issuer,
        unit: str,
        statements: Sequence[tuple[bytes, Issuer, Statement]],
        extensions: Sequence[bytes],
    ) -> bytes:
        """Return an answer about several certificates, or for one requestor only.

        Args:
            speaker: the issuer whose responder signs.
            unit: which of its responders.
            statements: CertIDs in DER, whose they are, and what is to be said of them.
            extensions: those of the whole answer.

        Raises:
            PikaserverError: see `keep`.
        """
        key, now = self._key(speaker, unit), self._now()
        singles = [
            self._single(issuer, cert_id, said, key, now) for cert_id, issuer, said in statements
        ]
        tbs = response_data(key.responder_id, now, singles, extensions)
        alone = all(issuer is speaker for _, issuer, _ in statements)
        return response(self._sign(speaker, unit, key, tbs, alone=alone), key.enclosed)

    def _single(
        self, issuer: Issuer, cert_id: bytes, said: Statement, key: ResponderKey, now: datetime
    ) -> bytes:
        extensions = said.extensions
        days = self._settings.terms(issuer.authority).archive_days
        if days is not None and said.lasts:
            extensions = (*extensions, archive_cutoff(now - timedelta(days=days)))
        until = self._next_update(issuer, said, key, now)
        return single_response(cert_id, said.status, now, until, extensions)

    def _next_update(
        self, issuer: Issuer, said: Statement, key: ResponderKey, now: datetime
    ) -> datetime:
        """Return until when it counts: never longer than the responder's certificate."""
        validity = self._settings.terms(issuer.authority).validity
        return min(now + (validity if said.lasts else min(validity, SHORTLY)), key.not_after)

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    def _key(self, issuer: Issuer, unit: str) -> ResponderKey:
        try:
            key = self._keys.get(issuer, unit)
            if key.not_after < self._now():
                raise KeyUnavailable("the responder's certificate has ended")
        except PikaserverError as error:
            self._counts.failed(issuer, unit, error)
            raise
        return key

    def _sign(
        self, issuer: Issuer, unit: str, key: ResponderKey, tbs: bytes, *, alone: bool = True
    ) -> bytes:
        try:
            signature = key.key.sign(tbs)
        except PikaserverError as error:
            # A keeper that refuses to speak for other authorities is quite well.
            if alone:
                self._counts.failed(issuer, unit, error)
            raise
        self._counts.signed(issuer, unit)
        return signed_part(tbs, key.key.algorithm, signature)
