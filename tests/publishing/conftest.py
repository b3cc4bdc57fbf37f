"""A server with real CRLs, and publishers that remember what they were given."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.publishing import Target
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.publishing.ground import Ground
from pikaserver.publishing.queue import TargetQueue
from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import distinguished_name, throw_away_key, throw_away_request


@dataclass
class Shelf:
    """A publisher that keeps what it gets; ``refuse`` may raise before."""

    name: str = "shelf"
    target: Target = field(default_factory=Target)
    got: list = field(default_factory=list)

    def refuse(self, crl):
        """Take everything."""

    def publish(self, crl):
        """See ``pikaserver.api.publishing.Publisher``."""
        self.refuse(crl)
        self.got.append((crl.authority, crl.scope, crl.number))


@dataclass
class House:
    """A server, and the queues of its nodes."""

    server: object
    clock: FrozenClock
    ground: Ground

    def queue(self, publisher, node=1):
        """Return the queue of a publisher on a node."""
        ground = replace(self.ground, node=node, holder=f"node-{node}")
        return TargetQueue(publisher, ground)

    def issue(self, authority="issuing"):
        """Sign a fresh CRL and return its number."""
        (crl,) = self.server.crls.issue(authority)
        return crl.number

    def change(self, authority, **settings):
        """Change settings of an authority."""
        before = self.server.authorities.settings(authority)
        changed = before.model_copy(update=settings)
        self.server.ceremony.save_settings(authority, changed, "test")

    def rekey(self, authority):
        """Give an authority a new key, and that one its first CRL."""
        key = KeyReference("software", f"{authority}-next")
        content = CaContent(distinguished_name("unread"), timedelta(days=1))
        plan = AuthorityPlan(authority, content, "ec-p256", key, "ecdsa-sha256")
        self.server.succession.rekey(authority, plan, "test")
        self.server.crls.issue_due()

    def enroll(self, name):
        """Issue a certificate and return its record."""
        request = throw_away_request(throw_away_key(self.ground.entropy), name, x509.DNSName(name))
        wish = EnrollmentRequest(read_csr(request), Requester("t", "operator"), "web", "cli")
        return self.server.enroll(wish).record

    def run(self, queue):
        """Let a queue do what is due now."""
        return queue.run(self.ground.supply())


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request, tmp_path):
    """A two-level PKI whose CRLs are signed, with a clock that stands still."""
    clock, url = FrozenClock(), None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    with make_server(tmp_path, clock=clock, database_url=url) as server:
        server.crls.issue_due()
        ground = Ground(
            database=server.database,
            authorities=server.authorities,
            crls=server.crls,
            events=server.events,
            clock=clock,
            entropy=CountedEntropy(),
            node=1,
            holder="node-1",
        )
        yield House(server, clock, ground)


@pytest.fixture
def new_shelf():
    """Make publishers."""
    return Shelf


@pytest.fixture
def shelf():
    return Shelf()
