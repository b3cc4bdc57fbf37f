"""The server as plugins hold it: what the API names, and nothing that lies behind."""

from collections.abc import Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import falcon

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
from pikaserver.api.server import Server, Settings, Templates
from pikaserver.api.services import ServiceKeys
from pikaserver.api.storage import Database

Role = TypeVar("Role")


class PluginServer:
    """Implements ``pikaserver.api.server.Server`` by a larger one; hooks are given this.

    Behind the roles stand objects that do more: change templates, decide on requests, reach
    signers.  An enabled plugin is trusted code, and Python has no walls; but what it does not
    see it cannot come to need, and a mistake in it cannot touch.
    """

    def __init__(self, whole: Server) -> None:
        self._whole = whole

    @property
    def clock(self) -> Clock:
        """See the protocol."""
        return self._whole.clock

    @property
    def entropy(self) -> Entropy:
        """See the protocol."""
        return self._whole.entropy

    @cached_property
    def database(self) -> Database:
        """See the protocol."""
        return only(self._whole.database, Database)

    @cached_property
    def audit(self) -> Audit:
        """See the protocol."""
        return only(self._whole.audit, Audit)

    @cached_property
    def secrets(self) -> Secrets:
        """See the protocol."""
        return only(self._whole.secrets, Secrets)

    @cached_property
    def services(self) -> ServiceKeys:
        """See the protocol."""
        return only(self._whole.services, ServiceKeys)

    @cached_property
    def authorities(self) -> Authorities:
        """See the protocol."""
        return only(self._whole.authorities, Authorities)

    @cached_property
    def certificates(self) -> Certificates:
        """See the protocol."""
        return only(self._whole.certificates, Certificates)

    @cached_property
    def templates(self) -> Templates:
        """See the protocol."""
        return only(self._whole.templates, Templates)

    @cached_property
    def codes(self) -> EnrollmentCodes:
        """See the protocol."""
        return only(self._whole.codes, EnrollmentCodes)

    @cached_property
    def crls(self) -> Crls:
        """See the protocol."""
        return only(self._whole.crls, Crls)

    @cached_property
    def lockouts(self) -> Lockouts:
        """See the protocol."""
        return only(self._whole.lockouts, Lockouts)

    @cached_property
    def requests(self) -> Requests:
        """See the protocol."""
        return only(self._whole.requests, Requests)

    @cached_property
    def renewals(self) -> Renewals:
        """See the protocol."""
        return only(self._whole.renewals, Renewals)

    @cached_property
    def devices(self) -> Devices:
        """See the protocol."""
        return only(self._whole.devices, Devices)

    @cached_property
    def key_generator(self) -> KeyGenerator:
        """See the protocol."""
        return only(self._whole.key_generator, KeyGenerator)

    @cached_property
    def key_challenges(self) -> KeyChallenges:
        """See the protocol."""
        return only(self._whole.key_challenges, KeyChallenges)

    @cached_property
    def pairs(self) -> Pairs:
        """See the protocol."""
        return only(self._whole.pairs, Pairs)

    @property
    def node(self) -> int:
        """See the protocol."""
        return self._whole.node

    def announce(self, event: Event) -> None:
        """See the protocol."""
        self._whole.announce(event)

    def settings(self, model: type[Settings]) -> Settings:
        """See the protocol."""
        return self._whole.settings(model)

    def base_url(self, service: str) -> str | None:
        """See the protocol."""
        return self._whole.base_url(service)

    def local_urls(self, service: str) -> Sequence[str]:
        """See the protocol."""
        return self._whole.local_urls(service)

    def own_ports(self) -> frozenset[int]:
        """See the protocol."""
        return self._whole.own_ports()

    def authenticate(
        self, request: falcon.Request, methods: Sequence[str] | None = None
    ) -> Requester:
        """See the protocol."""
        return self._whole.authenticate(request, methods)

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """See the protocol."""
        return self._whole.enroll(request)

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """See the protocol."""
        return self._whole.revoke(record, revocation, actor)

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """See the protocol."""
        return self._whole.release(record, actor)


def only(whole: Role, role: type[Any]) -> Role:
    """Return an object that can do what a role's protocol names and nothing else."""
    deeds = [name for name in vars(role) if not name.startswith("_")]
    return cast(Role, SimpleNamespace(**{name: getattr(whole, name) for name in deeds}))
