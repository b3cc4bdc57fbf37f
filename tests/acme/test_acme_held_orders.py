"""Orders that a key, a crash, a race or a person holds up: they go on, and issue once."""

from datetime import timedelta

import pytest

from pikaserver.api.certificates import CertificateQuery
from pikaserver.api.errors import KeyUnavailable, Unavailable
from pikaserver_acme.storage import orders
from tests.acme.desk import csr_of, problem
from tests.acme.issued import NAME, der_of


def test_a_key_that_is_away_holds_an_order_up(desk, server, monkeypatch):
    """The client is told to wait; the order goes on by itself, with one certificate."""
    name = "waiting.example.com"
    order = desk.order(name)

    def away(*_):
        raise KeyUnavailable("the token is being carried over")

    with monkeypatch.context() as patched:
        patched.setattr("pikaserver.authority.issuance.sign_tbs", away)
        held = desk.finalize(order, csr_of(name))
        server.clock.advance(timedelta(minutes=1))
        desk.office.finalizing.resume_all()
        still = desk.post(order.headers["location"])
    desk.office.finalizing.resume_all()
    done = desk.post(order.headers["location"])

    assert ("processing", "5") == (held.json["status"], held.headers["retry-after"])
    assert "processing" == still.json["status"]
    assert "valid" == done.json["status"]
    assert 1 == len(server.certificates.find(CertificateQuery(name=name)))


def test_who_lost_the_race_and_the_key_hears_of_the_race(desk, server, monkeypatch):
    """Another CSR has the order: that is not answered as if it were this one's."""
    name = "lost.example.com"
    order = desk.order(name)
    finalizing, number = desk.office.finalizing, int(order.headers["location"].rpartition("/")[2])

    def lose(_case, _csr, _proof):
        with server.database.transaction() as connection:
            assert orders.claim(connection, number, b"another CSR", 0)
        raise Unavailable("the database is busy")

    monkeypatch.setattr(finalizing, "_issue", lose)

    refused = desk.finalize(order, csr_of(name))

    assert (403, "orderNotReady") == (refused.status_code, problem(refused))


def test_a_crash_after_the_certificate_loses_nothing(desk, server, monkeypatch):
    """The order finds the certificate that was signed for it."""
    name = "crash.example.com"
    order = desk.order(name)

    def crash(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("pikaserver_acme.storage.orders.finish", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.finalize(order, csr_of(name))
    server.clock.advance(timedelta(minutes=1))
    desk.office.finalizing.resume_all()

    done = desk.post(order.headers["location"])
    (record,) = server.certificates.find(CertificateQuery(name=name))
    assert "valid" == done.json["status"]
    assert record.certificate == der_of(desk.post(done.json["certificate"]).text)


def test_an_order_that_waited_too_long_ends(desk, server, monkeypatch):
    """With a reason, and without a certificate."""
    name = "late.example.com"
    order = desk.order(name)

    def away(*_):
        raise KeyUnavailable("the token is gone")

    monkeypatch.setattr("pikaserver.authority.issuance.sign_tbs", away)
    desk.finalize(order, csr_of(name))
    server.clock.advance(timedelta(days=8))
    desk.office.finalizing.resume_all()

    ended = desk.post(order.headers["location"])
    assert "invalid" == ended.json["status"]
    assert "before the order's end" in ended.json["error"]["detail"]


def test_a_person_decides_where_the_template_says_so(make, server):
    """The order is processing until then, and valid soon after."""
    document = server.templates.document("web").replace("approval = false", "approval = true")
    server.templates.save("approved", document, "test")
    client = make(template="approved", **{"pre-approved": ["*"]})
    client.register()
    order = client.order(NAME)
    waiting = client.finalize(order, csr_of(NAME))
    (request,) = [one for one in server.requests.list() if one.template == "approved"]

    server.clock.advance(timedelta(minutes=1))
    client.office.finalizing.resume_all()
    still = client.post(order.headers["location"])
    server.requests.decide(request.id, "somebody", approve=True)
    client.office.finalizing.resume_all()

    assert ("processing", "60") == (waiting.json["status"], waiting.headers["retry-after"])
    assert "processing" == still.json["status"]
    assert "valid" == client.post(order.headers["location"]).json["status"]
