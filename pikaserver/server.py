"""The composition root: builds everything in order and hands plugins their `Server`."""

from collections.abc import Sequence
from functools import cache

import falcon

from pikaserver.api.certificates import CertificateRecord, Revocation
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.api.operations import Event
from pikaserver.api.server import Settings as PluginSettings
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
from pikaserver.authority.granting import Granting
from pikaserver.authority.holder_certificates import HolderCertificates
from pikaserver.authority.issuance import Issuance
from pikaserver.authority.judging import Judging
from pikaserver.authority.key_challenges import ChallengeBook
from pikaserver.authority.key_policy.policy import KeyPolicy
from pikaserver.authority.linting import built_in_lints
from pikaserver.authority.pair_wishes import PairWishes
from pikaserver.authority.pairs import PairEnrollment
from pikaserver.authority.possession import Possession
from pikaserver.authority.preparation import Preparation
from pikaserver.authority.related import PairDirectory, RelatedCertificates
from pikaserver.authority.renewal_windows import RenewalWindows
from pikaserver.authority.requests import WaitingRequests
from pikaserver.authority.revocation import Revocations
from pikaserver.authority.services.certificates import ServiceCertificates
from pikaserver.authority.services.keys import ServiceKeysInUse
from pikaserver.authority.succession import Succession
from pikaserver.authority.taking_over import TakingOver
from pikaserver.authority.templates.directory import TemplateDirectory
from pikaserver.authority.urls import AuthorityUrls
from pikaserver.ground import Ground, items, key_lists, signer_registry
from pikaserver.plugin_server import PluginServer
from pikaserver.settings.addresses import base_url, local_urls, ports
from pikaserver.signing.generated_keys import SoftwareKeyGenerator
from pikaserver.storage.certificates import CertificateStore
from pikaserver.storage.lockouts import SharedLockouts
from pikaserver.web.authentication import first_credential


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
        self.requests = WaitingRequests(database, self.templates, self.audit, self.events, clock)
        self.revocations = Revocations(database, self.audit, self.events, clock)
        self.devices = DeviceDirectory(database, self.revocations, self.audit, clock)
        self.renewals = self._renewals()
        self.bound_ports: set[int] = set()
        self._plugin_settings = ground.plugin_settings
        plugins = ground.plugins
        self.for_plugins = PluginServer(self)
        self.signers = signer_registry(ground, self.for_plugins)
        self.lints = [*built_in_lints(clock), *items(plugins.lints(self.for_plugins))]
        self.issuance = self._issuance()
        self.crls, self.foreign_crls = self._crls()
        self.holders = HolderCertificates(self.certificates, self.authorities, clock)
        self.key_challenges = ChallengeBook(self.secrets, clock, self.entropy)
        self.enrollment, self.pairs = self._roads()
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

    def _roads(self) -> tuple[Enrollment, PairEnrollment]:
        related = RelatedCertificates(self.holders, self.clock)
        judging = Judging(
            database=self.database,
            authorities=self.authorities,
            templates=self.templates,
            waiting=self.requests,
            windows=self.renewals,
            possession=Possession(self.holders, self.key_challenges),
            related=related,
            validators=items(self.plugins.validators(self.for_plugins)),
            clock=self.clock,
        )
        preparation = Preparation(
            urls=self.urls,
            keys=KeyPolicy(key_lists(self.host), {*self.host.keys.allow_draft_algorithms}),
            lints=self.lints,
            providers=[related, *items(self.plugins.extension_providers(self.for_plugins))],
            next_serial=self.issuance.next_serial,
            clock=self.clock,
        )
        granting = Granting(
            database=self.database,
            authorities=self.authorities,
            issuance=self.issuance,
            revocations=self.revocations,
            clock=self.clock,
        )
        pairs = PairEnrollment(
            directory=PairDirectory(self.certificates),
            holders=self.holders,
            judging=judging,
            wishes=PairWishes(judging, preparation),
            granting=granting,
        )
        return Enrollment(judging=judging, preparation=preparation, granting=granting), pairs

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

    def issue_approved(self, request_id: int) -> tuple[Issued, ...]:
        """Issue what somebody approved: one certificate, or both of a pair.

        Raises:
            NotFound: no such request.
            Conflict: it is not approved, or was issued already.
            NotAuthenticated: the certificate that it renews is no longer valid.
        """
        if self.requests.get(request_id).second_csr is None:
            return (self.enrollment.issue_approved(request_id),)
        both = self.pairs.issue_approved(request_id)
        return both.first, both.second

    def revoke(
        self, record: CertificateRecord, revocation: Revocation, actor: str
    ) -> CertificateRecord:
        """See the protocol."""
        return self.revocations.revoke(record, revocation, actor)

    def release(self, record: CertificateRecord, actor: str) -> CertificateRecord:
        """See the protocol."""
        return self.revocations.release(record, actor)
