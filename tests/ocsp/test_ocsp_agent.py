"""A responder whose key is at a signing agent: what is answered while the agent is away."""

import os
from datetime import timedelta

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.operations import HealthState
from pikaserver.asn1.algorithms import algorithm_of, verify
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.ocsp import ResponseStatus, issuer_octets, make_cert_id
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.cli.main import run
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.serving import RunningServer
from pikaserver.settings.loading import load
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.patience import until
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.office import office_of
from pikaserver_agents.storage.codes import Purpose
from pikaserver_ocsp.plugin import of, register_health_checks

NONCE = bytes(range(32))


class Site:
    """A server with the key of its responder at an agent."""

    def __init__(self, data):
        self.data = data
        self.agent = FakeAgent("vault-a")
        self.open()
        self.agent.desk.make_key("ocsp")
        code = self.code()
        self.office.listener.works.keeper.look_again()
        self.agent.enroll(code)
        self.come_back()

    def open(self):
        """Start, or start anew."""
        self.opened = open_server(load({}, data=self.data), {})
        self.server = self.opened.__enter__()
        self.running = RunningServer(self.server)
        self.running.start()
        self.office = office_of(self.server.for_plugins)
        self.ocsp = of(self.server.for_plugins)

    def close(self):
        """Stop."""
        self.running.stop()
        self.opened.__exit__(None, None, None)

    def code(self):
        """Return a code for the agent."""
        wish = CodeWish("vault-a", Purpose.ENROLL, timedelta(minutes=15))
        code, _ = self.office.enrollments.make_code(wish, "cli:tester")
        return code.text()

    def leave(self):
        """Let the agent be away."""
        self.agent.die()
        until(lambda: not self.office.lines.present(), "the end of the line")

    def come_back(self):
        """Let the agent be there."""
        self.agent.connect()
        until(lambda: self.office.lines.get("vault-a"), "the line")

    def issue(self, name):
        """Return a certificate."""
        key = throw_away_key(self.server.entropy)
        csr = read_csr(throw_away_request(key, name, x509.DNSName(name)))
        wish = EnrollmentRequest(csr, Requester("test", "operator"), "device", "cli")
        return self.server.enroll(wish).record

    def ask(self, record, nonce=None):
        """Return the answer, whose signature holds, or the error."""
        issuer = self.server.authorities.key(record.authority, record.generation).certificate
        octets = issuer_octets(0, subject_of(issuer), public_key_of(issuer))
        request = write_request([make_cert_id(octets, record.serial)], nonce)
        status, basic = read_response(self.ocsp.responder.answer(request).octets)
        if basic is None:
            return status
        signer = x509.load_der_x509_certificate(basic.certificates[0])
        verify(public_key_of(signer), algorithm_of(basic.algorithm), basic.signature, basic.tbs)
        return basic

    def status(self, record, nonce=None):
        """Return what is said."""
        return self.ask(record, nonce).answers[0].status

    def revoke(self, record):
        """Revoke."""
        revocation = Revocation(self.server.clock(), RevocationReason.KEY_COMPROMISE)
        return self.server.revoke(record, revocation, "test")

    def health(self):
        """Return how the responder is."""
        (check,) = register_health_checks(self.server.for_plugins)
        return check.check()


@pytest.fixture
def site(tmp_path):
    """Give a server whose responder's key is at an agent that is there."""
    data = tmp_path / "data"
    wishes = FirstStart(
        data=data,
        http="127.0.0.1:0",
        https="127.0.0.1:0",
        agents="127.0.0.1:0",
        hostname="pki.example.test",
        plugins=("agents", "ocsp"),
    )
    set_up(wishes, {})
    words = ["ca", "set", "issuing", "--service", "ocsp.key=agent:vault-a/ocsp"]
    assert 0 == run([*words, "--data", str(data)])
    made = Site(data)
    try:
        yield made
    finally:
        made.agent.close()
        made.close()


def test_the_agent_signs_for_ocsp_only(site):
    """The certificate is for its key, and it is told what each signature is for."""
    record = site.issue("plc-21.example")

    basic = site.ask(record, NONCE)

    key = site.agent.desk.keys["soft/ocsp"]
    signer = x509.load_der_x509_certificate(basic.certificates[0])
    assert key.private.public_key() == signer.public_key()
    assert ["csr", "status"] == [one.context.purpose for one in site.agent.asked_to_sign]


def test_kept_answers_go_on_while_the_agent_is_away(site):
    """Also after the server started anew; a nonce is not echoed then (RFC 9654)."""
    record = site.issue("plc-21.example")
    first = site.ask(record)
    assert NONCE == site.ask(record, NONCE).nonce
    site.leave()

    assert first == site.ask(record) == site.ask(record, NONCE)

    site.close()
    site.open()
    assert first == site.ask(record) == site.ask(record, NONCE)


def test_what_was_never_signed_has_to_wait(site):
    """The client is told to try later, until the agent is there again; health tells of it."""
    known, record = site.issue("plc-21.example"), site.issue("plc-22.example")
    site.ask(known)
    site.leave()

    assert ResponseStatus.TRY_LATER is site.ask(record)
    assert ResponseStatus.TRY_LATER is site.ask(record, NONCE)
    health = site.health()
    assert HealthState.OK is not health.state
    assert "issuing" in health.detail

    site.come_back()
    assert ["good", "good"] == [site.status(record), site.status(record, NONCE)]
    assert HealthState.OK is site.health().state


def test_what_was_revoked_meanwhile_is_never_called_good(site):
    """The kept answer is of no use any more; nobody else can sign that it is revoked."""
    record = site.issue("plc-21.example")
    assert "good" == site.status(record)
    site.leave()
    site.revoke(record)

    assert ResponseStatus.TRY_LATER is site.ask(record)
    assert ResponseStatus.TRY_LATER is site.ask(record, os.urandom(16))

    site.come_back()
    assert ["revoked", "revoked"] == [site.status(record), site.status(record, NONCE)]
