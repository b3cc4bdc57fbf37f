"""Requests that wait: each answers what it asked, once, and only while that is still right."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import Conflict, NotAuthenticated, Unavailable
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.storage import audit

OPERATOR = Requester("cli:test", "operator")
ASKERS = 8


def wish(csr, template="patient", requester=OPERATOR, **more):
    return EnrollmentRequest(csr=csr, requester=requester, template=template, door="cli", **more)


def renewal(csr, old):
    holder = Requester(f"certificate:{old.subject}", "certificate", certificate=old)
    return wish(csr, requester=holder, renews=old)


@pytest.fixture(scope="module", autouse=True)
def patient(server):
    """A template that wants an approval."""
    document = server.templates.document("device")
    document = document.replace("approval = false", "approval = true")
    server.templates.save("patient", document, "test")


@pytest.fixture
def approved(server):
    """Ask for something, let it be approved, and return the request's number."""

    def ask(request):
        pending = server.enroll(request)
        assert isinstance(pending, Pending)
        server.requests.decide(pending.request_id, "officer", approve=True)
        return pending.request_id

    return ask


@pytest.fixture
def same_csr(make_csr):
    """One CSR for one name and key; RSA signs the same octets alike each time."""
    return make_csr("again.example.test", key=rsa.generate_private_key(65537, 2048))


def test_it_answers_under_its_own_template_only(server, same_csr, approved):
    """An approval for one template says nothing of another one."""
    approved(wish(same_csr))

    issued = server.enroll(wish(same_csr, "web"))

    assert isinstance(issued, Issued)
    assert "web" == issued.record.template


def test_a_door_may_want_a_person_where_the_template_does_not(server, make_csr, approved):
    """A requester who proved little is let in by somebody, under the template of all others."""
    asked = wish(make_csr("unknown.example.test"), "device", approval=True)
    approved(asked)

    issued = server.enroll(asked)

    assert isinstance(issued, Issued)


def test_each_renewal_waits_for_itself(server, same_csr, approved):
    """The CSR of the next renewal may have the same octets as that of the last one."""
    approved(wish(same_csr))
    first = server.enroll(wish(same_csr)).record
    approved(renewal(same_csr, first))
    second = server.enroll(renewal(same_csr, first)).record

    assert second != first
    assert isinstance(server.enroll(renewal(same_csr, second)), Pending)


def test_what_was_revoked_is_no_answer(server, same_csr, approved, clock):
    """Who asks again after a revocation asks for a new certificate."""
    approved(wish(same_csr))
    record = server.enroll(wish(same_csr)).record
    server.revoke(record, Revocation(clock(), RevocationReason.KEY_COMPROMISE), "test")

    assert isinstance(server.enroll(wish(same_csr)), Pending)


def test_a_renewal_dies_with_its_certificate(server, same_csr, approved, clock):
    """It was valid when somebody asked, and is revoked when somebody says yes."""
    approved(wish(same_csr))
    old = server.enroll(wish(same_csr)).record
    number = approved(renewal(same_csr, old))
    server.revoke(old, Revocation(clock(), RevocationReason.KEY_COMPROMISE), "test")

    with pytest.raises(NotAuthenticated, match="revoked"):
        server.enrollment.issue_approved(number)


def test_the_trail_tells_what_was_approved(server, same_csr):
    """An approver may choose another validity; that is part of the yes."""
    pending = server.enroll(wish(same_csr))
    server.requests.decide(pending.request_id, "eve", approve=True, validity=timedelta(days=3))

    with server.database.reading() as connection:
        query = audit.TrailQuery(event="request.approved", actor="eve")
        (line,) = audit.read(connection, query)
    assert 3 * 24 * 3600 == line.fields["validity_seconds"]


def test_an_approval_buys_one_certificate_however_many_ask(server, same_csr, approved):
    """One conditional statement decides; who comes second hears no word of wrong credentials."""
    number = approved(wish(same_csr))
    together = Barrier(ASKERS)

    def ask(asker):
        together.wait()
        try:
            return server.enroll(wish(same_csr)) if asker % 2 else issue_approved()
        except Unavailable:  # who asks again gets it
            return None

    def issue_approved():
        with suppress(Conflict):  # another one was quicker
            return server.enrollment.issue_approved(number)

    with ThreadPoolExecutor(ASKERS) as pool:
        outcomes = list(pool.map(ask, range(ASKERS)))

    assert 1 == len({one.record.id for one in outcomes if isinstance(one, Issued)})
