"""A message that comes again gets what it got: from another node, and after a restart."""

import threading
from contextlib import ExitStack

import pytest

from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from tests.scep.conftest import ENABLED
from tests.scep.device import CERT_POLL, PENDING, PKCS_REQ, SUCCESS, Device, House


@pytest.fixture
def nodes(postgres, tmp_path):
    """Give two nodes on one database."""
    url, clock = postgres.url(postgres.create_database()), FrozenClock()
    environment = ENABLED | {"PIKASERVER__DATABASE__URL": url, "PIKASERVER__SERVER__NODE": "2"}
    with ExitStack() as stack:
        made = make_server(tmp_path / "data", clock=clock, environment=ENABLED, database_url=url)
        first = House(stack.enter_context(made))
        settings = load(environment, data=tmp_path / "data")
        second = stack.enter_context(open_server(settings, environment, clock=clock))
        yield first, House(second)


def request(house, device, transaction="1"):
    envelope = device.seal(device.csr(house.challenge()), house.recipient)
    return device.message(PKCS_REQ, envelope, transaction=transaction)


def poll(house, device):
    envelope = device.seal(b"who asks is in the signature", house.recipient)
    return house.ask(device, device.message(CERT_POLL, envelope))


def test_two_nodes_that_get_the_same_message_issue_once(nodes):
    """At the same moment, as behind a proxy that asks the next one when the first is slow."""
    device = Device()
    assert nodes[0].recipient == nodes[1].recipient
    message, replies, ready = request(nodes[0], device), [], threading.Barrier(4)

    def ask(house):
        ready.wait()
        replies.append(house.ask(device, message))

    threads = [threading.Thread(target=ask, args=(house,)) for house in nodes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    later = [house.ask(device, message) for house in nodes]
    assert {SUCCESS} == {reply.status for reply in later}
    assert {reply.status for reply in replies} <= {SUCCESS, PENDING}
    got = {device.certificate_in(one) for one in replies + later if one.status == SUCCESS}
    assert 1 == len(got) == nodes[0].issued()


def test_what_waits_at_one_node_waits_at_the_other(nodes):
    """One request for the officer, whichever node the device asks; then one certificate."""
    device = Device()
    one, other = nodes
    one.set("approval=true")
    message = request(one, device)

    waiting = [one.ask(device, message), other.ask(device, message), poll(other, device)]
    (stored,) = one.server.requests.list()
    other.server.requests.decide(stored.id, "officer", approve=True)
    replies = [poll(one, device), other.ask(device, message), one.ask(device, message)]

    assert [PENDING] * 3 == [reply.status for reply in waiting]
    assert [SUCCESS] * 3 == [reply.status for reply in replies]
    assert 1 == len({device.certificate_in(reply) for reply in replies}) == one.issued()


def test_what_was_answered_is_answered_after_a_restart(tmp_path):
    """The certificate, and what waits."""
    clock, served, waits = FrozenClock(), Device(), Device("plc-22", number=1)
    with make_server(tmp_path / "data", clock=clock, environment=ENABLED) as server:
        house = House(server)
        message = request(house, served)
        certificate = served.certificate_in(house.ask(served, message))
        house.set("approval=true")
        waiting = request(house, waits)
        assert PENDING == house.ask(waits, waiting).status

    with open_server(load(ENABLED, data=tmp_path / "data"), ENABLED, clock=clock) as again:
        house = House(again)
        assert certificate == served.certificate_in(house.ask(served, message))
        assert PENDING == house.ask(waits, waiting).status
        (stored,) = again.requests.list()
        again.requests.decide(stored.id, "officer", approve=True)
        assert SUCCESS == house.ask(waits, waiting).status
        assert SUCCESS == poll(house, waits).status
        assert 2 == house.issued()
