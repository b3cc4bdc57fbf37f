"""The composition root: builds everything in order and hands plugins their `Server`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import falcon

from pikaserver.api.certificates import CertificateRecord, Revocation
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.api.operations import Clock, Entropy, Event, Secrets
from pikaserver.api.server import Settings as PluginSettings
from pikaserver.api.signing import KeySealer
from pikaserver.api.web import Authenticator
from pikaserver.authority.audit import AuditTrail
from pikaserver.authority.authorities import AuthorityDirectory
from pikaserver.authority.ca_certificates import CaCertificates
from pikaserver.authority.ceremony import Ceremony
from pikaserver.authority.checkpoints import Checkpoints
from pikaserver.authority.codes import Codes
from pikaserver.authority.crls.foreign import ForeignCrls
from pikaserver.authority.crls.maker import CrlMaker
from pikaserver.authority.devices import DeviceDirectory
from pikaserver.authority.enroll import Enrollment
from pikaserver.authority.events import Events
from pikaserver.authority.holder_certificates import HolderCertificates
from pikaserver.authority.issuance import Issuance
from pikaserver.authority.key_challenges import ChallengeBook
from pikaserver.authority.key_policy.lists import KeyList, built_in_key_list, read_key_list
from pikaserver.authority.key_policy.policy import KeyPolicy
from pikaserver.authority.linting import built_in_lints
from pikaserver.authority.possession import Possession
from pikaserver.authority.preparation import Preparation
from pikaserver.authority.related import PairDirectory, RelatedCertificates
from pikaserver.authority.renewal_windows import RenewalWindows
from pikaserver.authority.requests import WaitingRequests
from pikaserver.authority.revocation import Revocations
from pikaserver.authority.services.certificates import ServiceCertificates
from pikaserver.authority.services.keys import ServiceKeysInUse
from pikaserver.authority.signers import SignerRegistry
from pikaserver.authority.succession import Succession
from pikaserver.authority.taking_over import TakingOver
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.plugin_manager import Plugins
from pikaserver.plugin_server import PluginServer
from pikaserver.settings.addresses import base_url, local_urls, ports
from pikaserver.settings.model import HostSettings
from pikaserver.signing.generated_keys import SoftwareKeyGenerator
from pikaserver.storage.certificates import CertificateStore
from pikaserver.storage.database import EmbeddedOrServer
from pikaserver.storage.lockouts import SharedLockouts
from pikaserver.web.authentication import first_credential

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on: checked settings, loaded plugins, the open database."""

    settings: HostSettings
    plugin_settings: dict[str, object]
    plugins: Plugins
    database: EmbeddedOrServer
    clock: Clock
    entropy: Entropy
    secrets: Secrets
    key_secrets: Callable[[str], Secrets]
    """By the scheme of a backend, what seals its keys."""


class PkiServer:
    """Implements ``pikaserver.api.server.Server``; command line and listeners use the rest.

    Plugins get `for_plugins`, which has no more than the protocol.

    Facts (authorities, templates, certificates) are there from the beginning; deeds come
    when the plugins have said what they add to them.
    """

    def __init__(self, ground: Ground) -> None:
        database, clock = ground.database, ground.clock
        self.host = ground.settings
        self.plugins = ground.plugins
        self.database = database
        self.clock = clock
        self.entropy = ground.entropy
        self.secrets = ground.secrets
        self.node = self.host.server.node
        self.audit = AuditTrail(self.host.server.node, clock)
        self.events = Events()
        self.urls = AuthorityUrls(cache(self.base_url))
        self.authorities = AuthorityDirectory(database)
        self.templates = TemplateDirectory(database, self.audit, clock)
        self.certificates = CertificateStore(database, clock)
        self.lockouts = SharedLockouts(database, clock)
        self.codes = Codes(database, self.templates, self.audit, clock, self.entropy)
        self.requests = WaitingRequests(database, self.audit, self.events, clock)
        self.revocations = Revocations(database, self.audit, self.events, clock)
        self.devices = DeviceDirectory(database, self.revocations, self.audit, clock)
        self.renewals = self._renewals()
        self.bound_ports: set[int] = set()
        self._plugin_settings = ground.plugin_settings
        plugins = ground.plugins
        self.for_plugins = PluginServer(self)
        self.signers = _backends(ground, self.for_plugins)
        self.lints = [*built_in_lints(clock), *items(plugins.lints(self.for_plugins))]
        self.issuance = self._issuance()
        self.crls, self.foreign_crls = self._crls()
        self.holders = HolderCertificates(self.certificates, self.authorities, clock)
        self.pairs = PairDirectory(self.certificates)
        self.key_challenges = ChallengeBook(self.secrets, clock, self.entropy)
        self.enrollment = self._enrollment()
        self.ceremony, self.succession, self.taking_over = self._ceremonies()
        self.services = self._services()
        self.key_generator = SoftwareKeyGenerator(self.key_challenges)
        self._authenticators: Sequence[Authenticator] = items(
            plugins.authenticators(self.for_plugins)
        )
        self.events.add(items(plugins.observers(self.for_plugins)))

    def _renewals(self) -> RenewalWindows:
        return RenewalWindows(
            self.database, self.authorities, self.templates, self.audit, self.clock
        )

    def _issuance(self) -> Issuance:
        return Issuance(
            database=self.database,
            signers=self.signers,
            audit=self.audit,
            events=self.events,
            clock=self.clock,
            entropy=self.entropy,
            node=self.host.server.node,
        )

    def _crls(self) -> tuple[CrlMaker, ForeignCrls]:
        made = CrlMaker(
            database=self.database,
            authorities=self.authorities,
            signers=self.signers,
            urls=self.urls,
            audit=self.audit,
            events=self.events,
            clock=self.clock,
        )
        foreign = ForeignCrls(
            database=self.database,
            authorities=self.authorities,
            kept=made.kept,
            audit=self.audit,
            events=self.events,
            clock=self.clock,
        )
        return made, foreign

    def _enrollment(self) -> Enrollment:
        related = RelatedCertificates(self.holders, self.clock)
        preparation = Preparation(
            urls=self.urls,
            keys=KeyPolicy(key_lists(self.host), {*self.host.keys.allow_draft_algorithms}),
            lints=self.lints,
            providers=[related, *items(self.plugins.extension_providers(self.for_plugins))],
            next_serial=self.issuance.next_serial,
            clock=self.clock,
        )
        return Enrollment(
            database=self.database,
            authorities=self.authorities,
            templates=self.templates,
            preparation=preparation,
            issuance=self.issuance,
            waiting=self.requests,
            revocations=self.revocations,
            windows=self.renewals,
            possession=Possession(self.holders, self.key_challenges),
            related=related,
            validators=items(self.plugins.validators(self.for_plugins)),
            clock=self.clock,
        )

    def _services(self) -> ServiceKeysInUse:
        certificates = ServiceCertificates(
            enrollment=self.enrollment,
            templates=self.templates,
            authorities=self.authorities,
            certificates=self.certificates,
            signers=self.signers,
            entropy=self.entropy,
        )
        return ServiceKeysInUse(
            certificates, self.authorities, self.signers, self.database.changes, self.clock
        )

    def checkpoints(self) -> Checkpoints:
        """Return what signs checkpoints of the audit trail, and checks them."""
        return Checkpoints(
            database=self.database,
            services=self.services,
            certificates=self.certificates,
            audit=self.audit,
            clock=self.clock,
        )

    def _ceremonies(self) -> tuple[Ceremony, Succession, TakingOver]:
        certificates = CaCertificates(self.urls, self.lints, self.issuance.next_serial, self.clock)
        ceremony = Ceremony(
            database=self.database,
            authorities=self.authorities,
            signers=self.signers,
            certificates=certificates,
            issuance=self.issuance,
            audit=self.audit,
            clock=self.clock,
        )
        succession = Succession(
            database=self.database,
            authorities=self.authorities,
            certificates=certificates,
            issuance=self.issuance,
            ceremony=ceremony,
            audit=self.audit,
            clock=self.clock,
        )
        taking_over = TakingOver(
            database=self.database,
            authorities=self.authorities,
            succession=succession,
            ceremony=ceremony,
            audit=self.audit,
            clock=self.clock,
        )
        return ceremony, succession, taking_over

    def announce(self, event: Event) -> None:
        """See the protocol."""
        self.events.announce(event)

    def settings(self, model: type[PluginSettings]) -> PluginSettings:
        """See the protocol."""
        for checked in self._plugin_settings.values():
            if type(checked) is model:
                return checked
        raise ConfigurationError(f"no enabled plugin registered the settings {model.__name__}")

    def base_url(self, service: str) -> str | None:
        """See the protocol."""
        return base_url(self.host, service)

    def local_urls(self, service: str) -> Sequence[str]:
        """See the protocol."""
        return local_urls(self.host, service)

    def own_ports(self) -> frozenset[int]:
        """See the protocol: those of the settings, and those that are bound in this process."""
        return frozenset(ports(self.host) | self.bound_ports) - {0}

    def authenticate(
        self, request: falcon.Request, methods: Sequence[str] | None = None
    ) -> Requester:
        """See the protocol."""
        return first_credential(self._authenticators, request, methods)

    def enroll(self, request: EnrollmentRequest) -> Issued | Pending:
        """See the protocol."""
        return self.enrollment.enroll(request)

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """See the protocol."""
        return self.revocations.revoke(record, revocation, actor)

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """See the protocol."""
        return self.revocations.release(record, actor)


def key_lists(host: HostSettings) -> list[KeyList]:
    """Return the lists of keys that are never certified: ours, and those of the settings."""
    return [built_in_key_list(), *(read_key_list(host.path(one)) for one in host.keys.refused)]


def items(offers: list[tuple[str, Item]]) -> list[Item]:
    """Return what plugins offered, without their names."""
    return [item for _, item in offers]


def _backends(ground: Ground, server: PluginServer) -> SignerRegistry:
    backends = items(ground.plugins.signer_backends(server))
    for backend in backends:
        if isinstance(backend, KeySealer):
            backend.seal_with(ground.key_secrets(backend.scheme))
    return SignerRegistry({backend.scheme: backend for backend in backends})
