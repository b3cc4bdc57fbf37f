"""The server as a plugin sees it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import falcon
from pydantic import BaseModel

from pikaserver.api.certificates import (
    Authorities,
    CertificateRecord,
    Certificates,
    Revocation,
)
from pikaserver.api.codes import EnrollmentCodes
from pikaserver.api.crls import Crls
from pikaserver.api.devices import Devices
from pikaserver.api.generated_keys import KeyGenerator
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester, Requests
from pikaserver.api.key_challenges import KeyChallenges
from pikaserver.api.lockouts import Lockouts
from pikaserver.api.operations import Audit, Clock, Entropy, Event, Secrets
from pikaserver.api.pairs import Pairs
from pikaserver.api.renewal import Renewals
from pikaserver.api.services import ServiceKeys
from pikaserver.api.storage import Database
from pikaserver.api.templates import Template

Settings = TypeVar("Settings", bound=BaseModel)


class Templates(Protocol):
    """Reading the templates."""

    def names(self) -> list[str]:
        """Return the names of all templates."""
        ...

    def get(self, name: str) -> Template:
        """Return the newest version of a template.

        Raises:
            NotFound: no such template.
        """
        ...


class Server(Protocol):
    """What hooks are given: facts to read, and the few deeds that a door may ask for.

    There is no way from here to a signer: a door asks for a certificate, never for a
    signature.
    """

    @property
    def clock(self) -> Clock:
        """The one source of time."""
        ...

    @property
    def entropy(self) -> Entropy:
        """The one source of randomness."""
        ...

    @property
    def database(self) -> Database:
        """Storage for the plugin's own tables."""
        ...

    @property
    def audit(self) -> Audit:
        """The audit trail, for lines beside the plugin's own deeds."""
        ...

    @property
    def secrets(self) -> Secrets:
        """Sealing, for secrets in the plugin's own tables."""
        ...

    @property
    def services(self) -> ServiceKeys:
        """The keys that the server's own services answer with."""
        ...

    @property
    def authorities(self) -> Authorities:
        """The authorities and their certificates."""
        ...

    @property
    def certificates(self) -> Certificates:
        """What was issued."""
        ...

    @property
    def templates(self) -> Templates:
        """The templates."""
        ...

    @property
    def codes(self) -> EnrollmentCodes:
        """The enrolment codes."""
        ...

    @property
    def crls(self) -> Crls:
        """The CRLs."""
        ...

    @property
    def lockouts(self) -> Lockouts:
        """The counts of wrong guesses."""
        ...

    @property
    def requests(self) -> Requests:
        """The requests that wait, or waited, for a person."""
        ...

    @property
    def renewals(self) -> Renewals:
        """When certificates should be renewed."""
        ...

    @property
    def devices(self) -> Devices:
        """Who holds certificates."""
        ...

    @property
    def key_generator(self) -> KeyGenerator:
        """Keys for others, who cannot make good ones themselves."""
        ...

    @property
    def key_challenges(self) -> KeyChallenges:
        """Challenges for keys that cannot sign their requests."""
        ...

    @property
    def pairs(self) -> Pairs:
        """Which certificates are bound to each other."""
        ...

    @property
    def node(self) -> int:
        """The number of this node, 1 to 127."""
        ...

    def announce(self, event: Event) -> None:
        """Tell the observers of something that happened; never fails."""
        ...

    def settings(self, model: type[Settings]) -> Settings:
        """Return the plugin's own checked settings, by the model that it registered."""
        ...

    def base_url(self, service: str) -> str | None:
        """Return where clients reach a service: ``http://pki.example:8080``; ``None``: nowhere."""
        ...

    def local_urls(self, service: str) -> Sequence[str]:
        """Return under which further addresses programs on this machine reach a service.

        A listener on loopback is met as ``https://localhost:8443`` and by its address, whatever
        the server's name is; its certificate has both.
        """
        ...

    def own_ports(self) -> frozenset[int]:
        """Return the TCP ports on which this server listens: no URL of others leads there."""
        ...

    def authenticate(
        self, request: falcon.Request, methods: Sequence[str] | None = None
    ) -> Requester:
        """Ask the authenticators in order; the first that knows the credential decides.

        Args:
            request: the request with the credentials.
            methods: the kinds that count at this door, in this order; ``None`` means all,
                in the order of their registration.

        Raises:
            NotAuthenticated: no credential, or a wrong one.
        """
        ...

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """Walk the one road from a request to a certificate.

        Raises:
            RequestRejected: a rule refused it; its trace tells which.
            NotAuthenticated: the proof is missing, wrong or spent.
            NotFound: no such template.
            Unavailable: a key or the database cannot do it now.
        """
        ...

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """Revoke a certificate or put it on hold; it is visible at once.

        Raises:
            Conflict: it is revoked already.
        """
        ...

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """Release a certificate from hold.

        Raises:
            Conflict: it is not on hold.
        """
        ...
