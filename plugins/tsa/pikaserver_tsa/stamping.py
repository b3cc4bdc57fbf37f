"""Octets in, octets out: a request becomes a time-stamp, or the bit that says why not."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from pikaserver.api.errors import PikaserverError, Unavailable
from pikaserver.api.operations import Entropy
from pikaserver.api.services import ServiceKey, ServiceKeys, ServiceUse
from pikaserver.asn1.certificate import subject_of
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data import Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signing_certificates import signing_certificate_v2
from pikaserver.asn1.time_stamp_responses import granted, refused
from pikaserver.asn1.time_stamps import Failure, Refusal, TimeStampRequest, read_request
from pikaserver.asn1.tst_info import TST_INFO, Accuracy, TstInfo, tst_info
from pikaserver_tsa.settings import AuthoritySettings
from pikaserver_tsa.trusted_clock import ClockInDoubt, TrustedClock

SERIAL_OCTETS = 16
"""One octet for the node, which keeps two nodes apart, and 15 random ones."""
TITLE = "Time-Stamping"


@dataclass(frozen=True, slots=True)
class TimeStampUnit:
    """One key of one authority that stamps."""

    authority: str
    unit: str
    settings: AuthoritySettings

    @property
    def use(self) -> ServiceUse:
        """What its key is for."""
        return ServiceUse("tsa", TITLE, self.authority, unit=self.unit)


@dataclass(frozen=True, slots=True)
class _Holder:
    """What of a unit's certificate never changes."""

    subject: bytes
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamper:
    """Stamps for all units."""

    services: ServiceKeys
    clock: TrustedClock
    node: int
    entropy: Entropy

    def answer(self, octets: bytes, unit: TimeStampUnit) -> tuple[bytes, Failure | None]:
        """Return a TimeStampResp (RFC 3161 section 2.4.2), and why it refuses if it does."""
        try:
            return granted(self.token(read_request(octets), unit)), None
        except Refusal as refusal:
            failure, why = refusal.failure, str(refusal)
        except ClockInDoubt as doubt:
            failure, why = Failure.TIME_NOT_AVAILABLE, str(doubt)
        except PikaserverError as error:
            # A key that is away, a disabled template: the client can only try again.
            failure, why = Failure.SYSTEM_FAILURE, str(error)
        return refused(failure, why), failure

    def token(self, request: TimeStampRequest, unit: TimeStampUnit) -> bytes:
        """Return a TimeStampToken.

        Raises:
            ClockInDoubt: nobody can say what time it is.
            Refusal: hash or policy are not accepted.
            PikaserverError: the key cannot sign now.
        """
        settings = unit.settings
        if request.hash not in settings.hashes:
            raise Refusal(Failure.BAD_ALG, f"the hash {request.hash} is not accepted")
        policy = request.policy or settings.policy
        if policy not in (settings.policy, *settings.policies):
            raise Refusal(Failure.UNACCEPTED_POLICY, f"the policy {policy} is not one of ours")
        key = self.services.get(unit.use)
        info = TstInfo(
            policy=policy,
            imprint=request.imprint,
            serial=self._serial(),
            at=self.moment(key, strictly_later=settings.ordering),
            accuracy=_accuracy(settings.accuracy_milliseconds),
            ordering=settings.ordering,
            nonce=request.nonce,
            authority=_holder(key.certificate).subject,
        )
        return _token(key, tst_info(info), with_certificates=request.certificate_wanted)

    def moment(self, key: ServiceKey, *, strictly_later: bool = False) -> datetime:
        """Return the time to stamp with; what a certificate does not cover nobody could verify.

        Raises:
            ClockInDoubt: nobody can say what time it is.
            Unavailable: the unit's certificate does not hold now.
        """
        moment, holder = self.clock.now(strictly_later=strictly_later), _holder(key.certificate)
        if not holder.not_before <= moment <= holder.not_after:
            raise Unavailable("the unit's certificate does not hold now")
        return moment

    def _serial(self) -> int:
        return int.from_bytes(bytes([self.node]) + self.entropy(SERIAL_OCTETS - 1), "big")


@lru_cache(maxsize=64)
def _holder(certificate: bytes) -> _Holder:
    loaded = x509.load_der_x509_certificate(certificate)
    return _Holder(subject_of(loaded), loaded.not_valid_before_utc, loaded.not_valid_after_utc)


def _token(key: ServiceKey, info: bytes, *, with_certificates: bool) -> bytes:
    attributes = signed_attributes(
        TST_INFO,
        digest(digest_of(key.algorithm), info),
        signing_certificate_v2(key.certificate),
    )
    signature = key.sign(attributes, info)
    signed = Signed(key.certificate, key.algorithm, attributes, signature)
    # Its own first: there are clients that take the first one for the signer's.
    certificates = path(key) if with_certificates else ()
    return signed_data(TST_INFO, info, signed, certificates)


def path(key: ServiceKey) -> tuple[bytes, ...]:
    """Return the certificates that travel: the unit's and those above it, but for the root."""
    return (key.certificate, *key.chain[:-1])


def _accuracy(milliseconds: int) -> Accuracy | None:
    return Accuracy(*divmod(milliseconds, 1000)) if milliseconds else None
