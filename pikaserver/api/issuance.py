"""What goes down the one road: who asks, for what, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from cryptography import x509
from sqlalchemy import Connection

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import Decision
from pikaserver.api.key_challenges import ChallengeAnswer
from pikaserver.api.templates import Template


@dataclass(frozen=True, slots=True)
class CertificationRequest:
    """A PKCS#10 request (RFC 2986), read but not believed.

    ``tbs`` are the original octets of CertificationRequestInfo, ``public_key`` is SPKI, all
    in DER.  ``extensions`` are the requested ones: a wish, nothing of them is copied blindly.
    The challenge password is a secret: what holds it is not shown by ``repr``.
    """

    der: bytes = field(repr=False)
    tbs: bytes = field(repr=False)
    subject: x509.Name
    public_key: bytes
    names: tuple[x509.GeneralName, ...]
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]
    challenge_password: str | None = field(repr=False)
    signature_algorithm: bytes
    signature: bytes


class OneTimeProof(Protocol):
    """A proof that is used up: an enrolment code, a challenge, an EAB account's last use."""

    def spend(self, connection: Connection) -> None:
        """Use it, in the very transaction that stores the intent.

        One conditional statement; its row count decides.

        Raises:
            NotAuthenticated: it is spent, expired or withdrawn.
        """
        ...

    def restore(self, connection: Connection) -> None:
        """Give it back: the key could not sign, and it is certain that nothing was signed."""
        ...


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, and by which method that was proved.

    ``name`` is for people and the audit trail (``code:4711``, ``certificate:CN=plc-21``).
    ``templates`` are those that the credential is good for, ``common_name`` the only name
    that may be asked with it, ``None`` each for any.  ``bound_subject`` and ``bound_names`` are
    the whole subject and the alternative names, where the credential is good for these alone.
    ``certificate`` is the one of ours whose key the requester holds.
    """

    name: str
    method: str
    address: str | None = None
    templates: frozenset[str] | None = None
    certificate: CertificateRecord | None = None
    proof: OneTimeProof | None = None
    common_name: str | None = None
    bound_subject: x509.Name | None = None
    bound_names: frozenset[x509.GeneralName] | None = None


@dataclass(frozen=True, slots=True)
class EnrollmentRequest:
    """One wish for one certificate.

    ``door`` is the service by which it came.  ``renews`` is the certificate that this one
    follows: subject and names stay.  A repeated ``transaction`` gets the first outcome.
    With ``approval`` a person decides, even where the template does not ask for one.
    ``model`` is what the requester says of its make; it is shown to people and decides nothing.
    ``answer`` proves possession of a key that cannot sign.
    """

    csr: CertificationRequest
    requester: Requester
    template: str
    door: str
    renews: CertificateRecord | None = None
    validity: timedelta | None = None
    transaction: str | None = None
    approval: bool = False
    model: str | None = None
    answer: ChallengeAnswer | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """The certificate is there and durably stored; ``chain`` runs from its issuer to the root."""

    record: CertificateRecord
    certificate: bytes
    chain: tuple[bytes, ...]
    trace: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """Somebody has to approve; ask again with the same request after ``retry_after`` seconds."""

    request_id: int
    retry_after: int
    trace: tuple[Decision, ...]


class RequestState(StrEnum):
    """How far a stored request is."""

    PENDING = "pending"
    APPROVED = "approved"
    ISSUED = "issued"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that waits, or waited, for a person.

    ``certificate_id`` is what came of it; of a pair it is the first certificate.
    """

    id: int
    state: RequestState
    template: str
    template_version: int
    door: str
    requester: str
    csr: bytes
    subject: str
    names: tuple[str, ...]
    created_at: datetime
    decided_by: str | None
    comment: str | None
    certificate_id: int | None
    second_csr: bytes | None = None
    """The request for the second certificate, where a pair was asked for."""


class Requests(Protocol):
    """Reading the requests that wait, or waited, for a person."""

    def get(self, request_id: int) -> RequestRecord:
        """Return one request.

        Raises:
            NotFound: no such request.
        """
        ...


class Severity(StrEnum):
    """An error stops the issuance; a warning is stored with the decision trace."""

    ERROR = "error"
    WARNING = "warning"


class Lint(Protocol):
    """One rule about one certificate: one class, one citation."""

    @property
    def citation(self) -> str:
        """The section that asks for it: ``RFC 5280 section 4.2.1.2``."""
        ...

    @property
    def severity(self) -> Severity:
        """Whether a finding stops the issuance."""
        ...

    def check(self, draft: x509.Certificate, issuer: x509.Certificate | None) -> str | None:
        """Say in one sentence what is wrong, or return ``None``.

        Args:
            draft: the certificate with a dummy signature.
            issuer: the certificate above, ``None`` for a self-signed draft.
        """
        ...


class Validator(Protocol):
    """One more rule on requests; all validators must agree."""

    def check(self, request: EnrollmentRequest, template: Template) -> None:
        """Return when the request may go on.

        Raises:
            RequestRejected: it may not, and the text says why.
        """
        ...


class ExtensionProvider(Protocol):
    """Adds extensions; two values for one OID stop the issuance."""

    def extensions(
        self, request: EnrollmentRequest, template: Template
    ) -> Iterable[x509.Extension[x509.ExtensionType]]:
        """Return what to add to the certificate for this request."""
        ...
