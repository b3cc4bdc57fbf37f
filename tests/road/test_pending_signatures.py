"""Where people approve a signature first, a ceremony waits, over restarts, for the same octets."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateStatus
from pikaserver.api.errors import Conflict, NotAllowed, SignaturePending
from pikaserver.api.signing import KeyReference
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.authority.recovery import resolve_intents
from pikaserver.testing.servers import make_server


class Careful:
    """A backend over the software keys that signs only what was approved, by its hash."""

    scheme = "careful"

    def __init__(self, software):
        self.software = software
        self.approved = set()
        self.asked = []
        self.certificates = {}

    def keys(self):
        return [replace(key, reference=self._own(key.reference)) for key in self.software.keys()]

    def generate(self, reference, key_type, *, exportable):
        return self.software.generate(self._other(reference), key_type, exportable=exportable)

    def open(self, reference, algorithm):
        return CarefulSigner(self, self.software.open(self._other(reference), algorithm))

    def check_authority(self, reference, authority):
        if authority == "foreign":
            raise NotAllowed("this key is kept for others")

    def keep_certificate(self, reference, certificates):
        self.certificates[reference.name] = certificates

    @staticmethod
    def _own(reference):
        return KeyReference("careful", reference.name)

    @staticmethod
    def _other(reference):
        return KeyReference("software", reference.name)


class CarefulSigner:
    """Signs with a software key what its backend has approvals for."""

    def __init__(self, backend, inner):
        self.backend = backend
        self.inner = inner
        self.algorithm = inner.algorithm
        self.public_key = inner.public_key

    def sign(self, tbs):
        digest = hashlib.sha256(tbs).digest()
        self.backend.asked.append(tbs)
        if digest not in self.backend.approved:
            raise SignaturePending("it waits for two approvals", digest)
        return self.inner.sign(tbs)


@pytest.fixture
def server(tmp_path):
    with make_server(tmp_path / "data") as made:
        yield made


@pytest.fixture
def careful(server):
    backend = Careful(server.signers.backend(KeyReference("software", "x")))
    server.signers.backends()["careful"] = backend
    return backend


def plan(name, **content):
    return AuthorityPlan(
        name=name,
        content=CaContent(read_subject(f"CN={name},O=Acme"), **content),
        key_type="ec-p256",
        key=KeyReference("careful", f"{name}-1"),
        algorithm="ecdsa-sha256",
    )


def approve_last(backend):
    backend.approved.add(hashlib.sha256(backend.asked[-1]).digest())


def pending(deed):
    with pytest.raises(SignaturePending):
        deed()


def events(server, name):
    with server.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT fields FROM audit_record WHERE event = ?", (name,)
        )
        return [row.fields for row in rows]


def test_a_root_is_finished_with_the_octets_that_were_approved(server, careful):
    """Also after a restart, and at another time: the approval holds for octets."""
    pending(lambda: server.ceremony.create_root(plan("vault"), "test"))
    approve_last(careful)
    server.clock.advance(timedelta(hours=5))
    assert 0 == resolve_intents(server.database, server.audit, server.node)

    record = server.ceremony.create_root(plan("vault"), "test")

    certificate = x509.load_der_x509_certificate(record.generations[0].certificate)
    assert careful.asked[0] == careful.asked[1] == certificate.tbs_certificate_bytes
    assert (record.generations[0].certificate,) == careful.certificates["vault-1"]
    assert 1 == len(events(server, "certificate.awaiting"))


def test_a_subordinate_of_a_careful_root_waits_too(server, careful):
    """Nothing of it is there before its certificate is."""
    test_a_root_is_finished_with_the_octets_that_were_approved(server, careful)
    below = replace(plan("below"), key=KeyReference("software", "below-1"))

    pending(lambda: server.ceremony.create_subordinate(below, "vault", "test"))
    assert "below" not in server.authorities.names()
    approve_last(careful)
    record = server.ceremony.create_subordinate(below, "vault", "test")

    assert careful.asked[-1] == careful.asked[-2]
    assert record.generations[0].current


def test_another_wish_is_another_draft(server, careful):
    """What was approved for the former one does not hold, and its serial is closed."""
    pending(lambda: server.ceremony.create_root(plan("vault", path_length=1), "test"))
    approve_last(careful)

    pending(lambda: server.ceremony.create_root(plan("vault", path_length=2), "test"))

    assert careful.asked[0] != careful.asked[1]
    assert 1 == len(events(server, "certificate.abandoned"))


def test_a_rekey_goes_on_where_it_stopped(server, careful):
    """New key, its certificate, and both cross-certificates; each is signed once."""
    test_a_root_is_finished_with_the_octets_that_were_approved(server, careful)
    wanted = replace(plan("vault"), key=KeyReference("careful", "vault-2"))

    for _ in range(3):
        pending(lambda: server.succession.rekey("vault", wanted, "test"))
        approve_last(careful)
    record = server.succession.rekey("vault", wanted, "test")

    new, old = record.generations
    assert (2, 1) == (new.number, old.number)
    assert (1, 1) == (len(new.others), len(old.others))
    for key, why in (("vault-2", "already"), ("vault-1", "before")):
        again = replace(wanted, key=KeyReference("careful", key))
        with pytest.raises(Conflict, match=why):
            server.succession.rekey("vault", again, "test")


def test_a_key_is_prepared_where_it_stopped(server, careful):
    """Its certificate, and both links; then it takes over without another signature."""
    test_a_root_is_finished_with_the_octets_that_were_approved(server, careful)
    wanted = replace(plan("vault"), key=KeyReference("careful", "vault-2"))

    for _ in range(3):
        pending(lambda: server.succession.rekey("vault", wanted, "test", prepare=True))
        approve_last(careful)
    new, old = server.succession.rekey("vault", wanted, "test", prepare=True).generations

    assert (True, False) == (new.prepared, new.current)
    assert (1, 1) == (len(new.others), len(old.others))
    assert new.certificate == careful.certificates["vault-2"][0]
    asked = len(careful.asked)
    assert server.taking_over.now("vault", "test").generations[0].current
    assert asked == len(careful.asked)


def test_what_awaits_is_pending_and_can_be_revoked(server, careful):
    """The signature may exist: nobody else knows."""
    test_a_root_is_finished_with_the_octets_that_were_approved(server, careful)
    below = replace(plan("below"), key=KeyReference("software", "below-1"))
    pending(lambda: server.ceremony.create_subordinate(below, "vault", "test"))

    generation = server.authorities.key("vault").generation.id
    states = {one.state: one.tbs_hash for one in server.certificates.signed_octets(generation)}

    assert hashlib.sha256(careful.asked[-1]).digest() == states["awaiting"]
    assert CertificateStatus.PENDING in {
        record.status for record in server.certificates.find(CertificateQuery())
    }


def test_a_key_is_not_for_every_authority(server, careful):
    """The backend is asked before a key is made."""
    with pytest.raises(NotAllowed, match="others"):
        server.ceremony.create_root(plan("foreign"), "test")

    assert "foreign-1" not in [key.reference.name for key in careful.keys()]
