"""Renewals that revoke the old certificate: one wins, and the others leave nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateStatus
from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.api.operations import CertificateRevoked
from pikaserver.storage import certificates

RENEWERS = 4


@pytest.fixture(scope="module", autouse=True)
def successive(server):
    """A template whose renewals revoke the old certificate."""
    document = server.templates.document("device")
    document = document.replace("revoke-old = false", "revoke-old = true")
    server.templates.save("successive", document, "test")


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def old(server, make_csr, key):
    csr = make_csr("successor.example.test", key=key)
    operator = Requester("cli:test", "operator")
    return server.enroll(EnrollmentRequest(csr, operator, "successive", "cli")).record


@pytest.fixture
def renew(server, make_csr, key, old):
    """Renew once; ``None`` when somebody else has done it."""
    holder = Requester("certificate:x", "certificate", certificate=old)

    def once():
        csr = make_csr("successor.example.test", key=key)
        try:
            return server.enroll(EnrollmentRequest(csr, holder, "successive", "cli", renews=old))
        except Conflict:
            return None

    return once


def test_whoever_comes_second_leaves_no_open_intent(server, renew, old):
    """Its signature never left; waiting for it until the next start would help nobody."""
    together = Barrier(RENEWERS)

    def at_once(_number):
        together.wait()
        return renew()

    with ThreadPoolExecutor(RENEWERS) as pool:
        outcomes = list(pool.map(at_once, range(RENEWERS)))

    assert 1 == sum(isinstance(one, Issued) for one in outcomes)
    assert CertificateStatus.REVOKED is server.certificates.get(old.id).status
    with server.database.reading() as connection:
        assert [] == certificates.open_intents(connection)


def test_observers_hear_of_the_revocation(server, renew, old):
    """P4: whoever keeps answers ready about the old certificate must know."""
    heard = []

    class Observer:
        def notice(self, event):
            heard.append(event)

    server.events.add([Observer()])

    renew()

    revoked = [event.record.id for event in heard if isinstance(event, CertificateRevoked)]
    assert [old.id] == revoked
