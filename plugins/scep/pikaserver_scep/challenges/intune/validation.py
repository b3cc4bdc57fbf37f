"""The validation service: is this request the one that Intune made for this device?"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver_scep.challenges.intune.service import CALLER, IntuneService

SERVICE = "ScepRequestValidationFEService"
VERSION = "2018-02-20"
SUCCESS = "Success"
DESCRIPTION_LIMIT = 255

# What a password means that Intune never made; the other codes speak of a request of its own.
GUESSES = frozenset(
    {
        "ChallengePasswordMissing",
        "ChallengeDeserializationError",
        "ChallengeDecryptionError",
        "ChallengeDecodingError",
        "SignatureValidationFailed",
    }
)


class ValidationFailed(RequestRejected):
    """Intune says no; ``code`` is its word for why."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"Intune refuses the request: {code} {description}".strip())
        self.code = code


@dataclass(frozen=True, slots=True)
class Success:
    """What Intune is told of a certificate."""

    thumbprint: str
    serial: str
    not_after: datetime
    issuer: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What Intune is told where there is none: ``hresult`` has 32 bits."""

    hresult: int
    description: str


class Validation:
    """``ScepActions`` of one tenant."""

    def __init__(self, service: IntuneService) -> None:
        self._service = service

    def validate(self, transaction: str, csr: bytes) -> None:
        """Return when the request is Intune's own.

        Raises:
            ValidationFailed: it is not.
            RequestRejected: the service cannot make sense of it.
            Unavailable: the service cannot be asked now.
        """
        self._post("validateRequest", "request", transaction, csr, {})

    def tell_success(self, transaction: str, csr: bytes, success: Success) -> None:
        """Tell that the certificate is there; raises like `validate`."""
        self._post(
            "successNotification",
            "notification",
            transaction,
            csr,
            {
                "certificateThumbprint": success.thumbprint,
                "certificateSerialNumber": success.serial,
                "certificateExpirationDateUtc": f"{success.not_after:%Y-%m-%dT%H:%M:%S}.000Z",
                "issuingCertificateAuthority": success.issuer,
            },
        )

    def tell_failure(self, transaction: str, csr: bytes, failure: Failure) -> None:
        """Tell that there will be no certificate; raises like `validate`."""
        self._post(
            "failureNotification",
            "notification",
            transaction,
            csr,
            {
                "hResult": failure.hresult,
                "errorDescription": failure.description[:DESCRIPTION_LIMIT],
            },
        )

    def _post(
        self, action: str, field: str, transaction: str, csr: bytes, more: Mapping[str, object]
    ) -> None:
        body = {
            field: {
                "transactionId": transaction,
                "certificateRequest": base64.b64encode(csr).decode(),
                "callerInfo": CALLER,
                **more,
            }
        }
        answer = self._service.post(SERVICE, f"ScepActions/{action}", VERSION, body)
        code, description = answer.get("code"), answer.get("errorDescription")
        if not isinstance(code, str):
            raise Unavailable(f"Intune's answer to {action} has no code")
        if code != SUCCESS:
            raise ValidationFailed(code, description if isinstance(description, str) else "")
