"""What was over long ago is forgotten, and nothing that anybody still needs."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from pikaserver.storage.tables import audit_record, certificate
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver_acme import forgetting
from pikaserver_acme.forgetting import Forgetting
from pikaserver_acme.office import office
from pikaserver_acme.plugin import register_jobs, register_services
from pikaserver_acme.storage import tables
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import ENVIRONMENT, Desk, HeldValidators, csr_of, dns_names

KEPT = timedelta(days=90)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request, tmp_path_factory):
    """One server for each kind of database; the clock of each test goes on from the last one."""
    url = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    folder = tmp_path_factory.mktemp("forgetting")
    options = {"clock": FrozenClock(), "environment": ENVIRONMENT, "database_url": url}
    with make_server(folder, **options) as made:
        here = office(made.for_plugins)
        here.validators = here.asking._validators = HeldValidators()  # noqa: SLF001 - the seam of tests
        yield made


@pytest.fixture
def client(server):
    """Return a function that makes clients with an account."""
    web = ServiceClient(*register_services(server.for_plugins))

    def make(**rules):
        made = Desk.make(server, web, **rules)
        made.register()
        return made

    return make


@pytest.fixture
def forget(server):
    """Run the job after so much time."""
    (job,) = [one for one in register_jobs(server.for_plugins) if one.name == "acme-forget"]

    def run(after):
        server.clock.advance(after)
        job.run()

    return run


def counted(server, *wanted):
    with server.database.reading() as connection:
        return [connection.scalar(select(func.count()).select_from(one)) for one in wanted]


def last_id(server):
    with server.database.reading() as connection:
        return connection.scalar(select(func.max(tables.order.c.id)))


def test_orders_and_proofs_go_and_the_rest_stays(client, server, forget):
    """Failed, expired and finished ones with everything below them; not the account."""
    desk = client(challenges=["dns-01", "http-01"])
    failed = desk.challenge(desk.order("failed.example.com"))
    desk.settle(failed, Verdict("unauthorized", "no", ("looked", "and saw")))
    desk.order("waiting.example.com")
    pending = desk.challenge(desk.order("begun.example.com"))
    desk.post(pending["url"], {})
    done = desk.order("done.example.com")
    desk.settle(desk.challenge(done))
    assert 200 == desk.finalize(done, csr_of("done.example.com")).status_code
    staying = counted(server, tables.account, tables.policy, certificate, audit_record)
    before = last_id(server)

    forget(KEPT + timedelta(days=400))

    assert [1, 1, 0] == counted(server, tables.order, tables.authorization, tables.validation)
    assert staying == counted(server, tables.account, tables.policy, certificate, audit_record)
    assert before == last_id(server)
    assert 404 == desk.post(failed["url"]).status_code
    again = desk.order("done.example.com")
    assert 201 == again.status_code
    assert before < int(again.headers["location"].rpartition("/")[2])


def test_an_order_stays_as_long_as_its_certificate(client, forget):
    """Its account revokes by it, however long the order itself is over."""
    desk = client(**{"pre-approved": ["*"]})
    desk.certificate("lasting.example.com")
    done = desk.order("lasting.example.com")
    desk.finalize(done, csr_of("lasting.example.com"))
    desk.order("newest.example.com")

    forget(timedelta(days=89))
    assert "valid" == desk.post(done.headers["location"]).json["status"]

    forget(KEPT + timedelta(days=89))
    assert 404 == desk.post(done.headers["location"]).status_code


def test_what_is_being_made_stays(client, server, forget):
    """Going on with it ends it; only then it is over."""
    desk = client(**{"pre-approved": ["*"]})
    order = desk.order("held.example.com")
    number = int(order.headers["location"].rpartition("/")[2])
    with server.database.transaction() as connection:
        values = {"status": "processing"}
        connection.execute(tables.order.update().where(tables.order.c.id == number).values(values))
    desk.order("newest.example.com")

    forget(KEPT + timedelta(days=30))
    assert "processing" == desk.post(order.headers["location"]).json["status"]

    with server.database.transaction() as connection:
        connection.execute(
            tables.order.update().where(tables.order.c.id == number).values({"status": "invalid"})
        )
    forget(timedelta(days=1))
    assert 404 == desk.post(order.headers["location"]).status_code


def test_certificates_that_follow_keep_their_order(client, server, forget):
    """RFC 8739: an order lives as long as it gives certificates, and those that it gave."""
    desk = client(**{"pre-approved": ["*"], "auto-renewal": {"allowed": True}})
    end = (server.clock() + timedelta(days=300)).isoformat()
    wish = {"auto-renewal": {"end-date": end, "lifetime": 7 * 24 * 3600}}
    order = desk.order("star.example.com", **wish)
    desk.finalize(order, csr_of("star.example.com"))
    desk.order("newest.example.com")

    forget(timedelta(days=200))
    assert "valid" == desk.post(order.headers["location"]).json["status"]

    desk.post(order.headers["location"], {"status": "canceled"})
    forget(timedelta(days=1))
    assert 404 == desk.post(order.headers["location"]).status_code


def test_a_proof_that_an_order_needs_stays_with_it(client, forget):
    """However short proofs are kept by the policy."""
    desk = client(**{"pre-approved": ["*"], "authorization-seconds": 60})
    order = desk.order("short.example.com")
    desk.finalize(order, csr_of("short.example.com"))
    desk.order("newest.example.com")

    forget(KEPT + timedelta(days=30))

    assert "expired" == desk.post(order.json["authorizations"][0]).json["status"]


def test_it_goes_by_small_transactions(client, server, monkeypatch):
    """Requests of others are written in between."""
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    monkeypatch.setattr(forgetting, "TURNS", 2)
    desk = client(**{"pre-approved": ["*"]})
    forgetful = Forgetting(server.database, server.clock, KEPT)
    for _ in range(40):
        forgetful.run()
    (left,) = counted(server, tables.order)
    for number in range(7):
        desk.post("new-order", {"identifiers": dns_names(f"n{number}.example.com")})
    server.clock.advance(KEPT + timedelta(days=30))

    forgetful.run()
    assert [left + 7 - 4] <= counted(server, tables.order)
    for _ in range(10):
        forgetful.run()
    assert counted(server, tables.order)[0] <= left + 1


def test_used_nonces_are_forgotten_and_the_others_are_not(server):
    """On the database that several nodes share; the embedded one remembers in memory."""
    nonces = office(server.for_plugins).nonces
    for _ in range(3):
        nonces.take(nonces.make())
    server.clock.advance(timedelta(minutes=50))
    nonces.take(nonces.make())
    (before,) = counted(server, tables.nonce)

    server.clock.advance(timedelta(minutes=20))
    nonces.sweep()

    shared = server.database.commits() is None
    assert [1 if shared else 0] == counted(server, tables.nonce)
    assert (before >= 4) == shared
