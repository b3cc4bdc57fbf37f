"""A server that is killed in the middle of orders: they go on, and no certificate is lost."""

import contextlib
import http.client
import threading
import time
from functools import partial

import pytest

from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.servers import ServerProcess, free_port
from pikaserver_acme.office import office
from pikaserver_acme.policies.rules import read_rules
from tests.acme.desk import b64, csr_of, dns_names
from tests.acme_whole.lines import Line, OverTheLine, Refused

ORDERS = 200
CLIENTS = 4
PATIENCE_SECONDS = 60
NO_LIMITS = {"orders-per-account-per-hour": 0, "accounts-per-address-per-hour": 0}


@pytest.fixture
def server(tmp_path):
    data = tmp_path / "data"
    made = ServerProcess(data, free_port(), free_port(), set_up=True)
    binds = [f"127.0.0.1:{port}" for port in (made.http_port, made.https_port)]
    set_up(FirstStart(data, *binds, hostname="localhost"), {})
    rules = read_rules({"template": "web", "pre-approved": ["*"], "limits": NO_LIMITS})
    with open_server(load({}, data=data), {}) as opened:
        office(opened.for_plugins).policies.put("pre", rules, "test")
    made.start()
    yield made
    made.stop()


def patiently(deed):
    """Do it again until the server is back."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return deed()
        except (OSError, http.client.HTTPException, Refused):
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def one_order(client, name):
    """Return the certificate's PEM; whatever was cut off is asked for again."""
    csr = b64(csr_of(name))

    def placed():
        answer = client.post("new-order", {"identifiers": dns_names(name)})
        return answer.headers["location"], answer.json["finalize"]

    url, finalize = patiently(placed)
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        order = patiently(partial(client.post, url)).json
        if order["status"] == "ready":
            with contextlib.suppress(Refused, OSError, http.client.HTTPException):
                client.post(finalize, {"csr": csr})
        elif order["status"] == "valid":
            return patiently(partial(client.post, order["certificate"])).text
        else:
            time.sleep(0.2)
    raise AssertionError(order)


def test_two_hundred_orders_survive_a_kill(server):
    """Every order gets its certificate, and exactly one; the killed one's are found again."""
    port = server.https_port
    OverTheLine.origin = f"https://localhost:{port}"
    got, failures = {}, []
    halfway = threading.Event()

    def work(share):
        line = Line(port)
        try:
            client = OverTheLine(None, line, "pre")
            patiently(client.register)
            for number in range(share, ORDERS, CLIENTS):
                name = f"n{number}.kill.example"
                got[name] = one_order(client, name)
                if len(got) >= ORDERS // 3:
                    halfway.set()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)
            halfway.set()
        finally:
            line.close()

    threads = [threading.Thread(target=work, args=(share,)) for share in range(CLIENTS)]
    for thread in threads:
        thread.start()
    halfway.wait(120)
    server.kill()
    server.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert ORDERS == len(got)
    assert all(text.startswith("-----BEGIN CERTIFICATE") for text in got.values())
    server.stop()
    with open_server(load({}, data=server.data), {}) as opened:
        found = office(opened.for_plugins).ordering.page(None, None, 1000)
        issued = [one.certificate_id for one in found if one.certificate_id is not None]
        assert not [one for one in found if one.status == "processing"]
    assert ORDERS <= len(issued) == len(set(issued))
