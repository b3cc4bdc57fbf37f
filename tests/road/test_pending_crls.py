"""CRLs whose signature comes later: the same octets are asked for again, and published then."""

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import text

from pikaserver.api.errors import KeyUnavailable, SignaturePending
from pikaserver.api.signing import KeyReference
from pikaserver.testing.servers import make_server


class Patient:
    """Stands before the software keys, and signs CRLs only after their hash was approved."""

    def __init__(self, software):
        self.software = software
        self.scheme = software.scheme
        self.keys = software.keys
        self.approved = set()
        self.asked = []
        self.away = False

    def open(self, reference, algorithm):
        return PatientSigner(self, self.software.open(reference, algorithm))


class PatientSigner:
    """One of its keys; it takes no digests, as a key elsewhere does not."""

    def __init__(self, backend, inner):
        self.backend = backend
        self.inner = inner
        self.algorithm = inner.algorithm
        self.public_key = inner.public_key

    def sign(self, tbs):
        self.backend.asked.append(tbs)
        if self.backend.away:
            raise KeyUnavailable("away")
        if hashlib.sha256(tbs).digest() not in self.backend.approved:
            raise SignaturePending("somebody carries it", retry_after=60)
        return self.inner.sign(tbs)


@pytest.fixture
def server(tmp_path):
    with make_server(tmp_path / "data") as made:
        yield made


@pytest.fixture
def patient(server):
    backend = Patient(server.signers.backend(KeyReference("software", "x")))
    server.signers.backends()["software"] = backend
    server.crls.issue_due()
    return backend


def approve(backend):
    backend.approved |= {hashlib.sha256(tbs).digest() for tbs in backend.asked}


def states(server):
    with server.database.reading() as connection:
        rows = connection.execute(text("SELECT state FROM crl ORDER BY id"))
        return [state for (state,) in rows]


def test_a_crl_waits_with_its_number(server, patient):
    """The first one of each authority waits; a later try asks for the same octets."""
    asked = [*patient.asked]
    assert ["awaiting"] * 2 == states(server)
    approve(patient)

    (record,) = server.crls.issue("issuing")

    assert patient.asked[-1] in asked
    crl = x509.load_der_x509_crl(record.crl)
    issuer = server.authorities.key("issuing").certificate
    assert crl.is_signature_valid(issuer.public_key())
    assert (1, 1) == (record.number, crl.extensions[1].value.crl_number)
    assert {"awaiting", "issued"} == {*states(server)}


def test_the_job_does_not_ask_at_every_look(server, patient, pikaserver_clock):
    """What is carried by hand is not there after five seconds."""
    count = len(patient.asked)

    for _ in range(5):
        server.crls.issue_due()
    assert count == len(patient.asked)
    server.clock.advance(timedelta(seconds=61))
    approve(patient)
    issued = server.crls.issue_due()

    assert {"root", "issuing"} == {record.authority for record in issued}
    assert pikaserver_clock is not server.clock


def test_a_draft_that_became_too_old_is_given_up(server, patient):
    """Half of its time is over: nobody wants that CRL any more."""
    server.clock.advance(timedelta(days=5))
    first = patient.asked[-1]

    with pytest.raises(SignaturePending):
        server.crls.issue("issuing")

    assert first != patient.asked[-1]
    assert ["awaiting", "abandoned", "awaiting"] == states(server)
    approve(patient)
    (record,) = server.crls.issue("issuing")
    assert 2 == record.number


def test_a_draft_whose_signature_is_refused_is_given_up(server, patient):
    """The next try makes another one; what a verifier saw before still counts."""
    patient.away = True
    with pytest.raises(KeyUnavailable):
        server.crls.issue("issuing")
    patient.away = False
    server.clock.advance(timedelta(seconds=1))

    with pytest.raises(SignaturePending):
        server.crls.issue("issuing")

    assert ["awaiting", "abandoned", "awaiting"] == states(server)


def test_the_trail_tells_of_the_wait(server, patient):
    """Signing, awaiting, issued: with the number of the CRL."""
    approve(patient)
    server.crls.issue("issuing")

    with server.database.reading() as connection:
        trail = "SELECT event FROM audit_record WHERE event LIKE 'crl.%' ORDER BY sequence"
        events = [event for (event,) in connection.execute(text(trail))]

    assert ["crl.signing", "crl.awaiting"] * 2 + ["crl.issued"] == events
