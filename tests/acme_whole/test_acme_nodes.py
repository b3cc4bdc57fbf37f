"""Two processes on one PostgreSQL: to clients they are one server."""

import shutil
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import tomlkit
from sqlalchemy import NullPool, create_engine, text

from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port
from pikaserver_acme.office import office
from pikaserver_acme.policies.rules import read_rules
from tests.acme.certificate_ids import certificate_id
from tests.acme.desk import b64, csr_of, dns_names
from tests.acme_whole.lines import Line, OverTheLine, Refused

ORIGIN = f"https://{HOSTNAME}"
WISH = {"identifiers": dns_names("www.example.com")}
ROUNDS = 8


@pytest.fixture(scope="module")
def database(postgres):
    return postgres.url(postgres.create_database())


@pytest.fixture(scope="module")
def nodes(database, tmp_path_factory):
    """Start two nodes that clients know by one address."""
    folder = tmp_path_factory.mktemp("nodes")
    made = [
        ServerProcess(folder / f"node-{one}", free_port(), free_port(), set_up=True)
        for one in (1, 2)
    ]
    prepare(made, database)
    with ExitStack() as running:
        for node in made:
            running.callback(node.stop)
            node.start()
        yield made


def prepare(made, database):
    first, second = (one.data for one in made)
    (first / "conf.d").mkdir(parents=True, mode=0o700)
    first.chmod(0o700)
    shared = {"database": {"url": database}, "server": {"base-urls": {"acme": ORIGIN}}}
    (first / "conf.d" / "shared.toml").write_text(tomlkit.dumps(shared))
    set_up(FirstStart(first, hostname=HOSTNAME), {})
    rules = read_rules({"template": "web", "pre-approved": ["*"]})
    with open_server(load({}, data=first), {}) as opened:
        office(opened.for_plugins).policies.put("pre", rules, "test")
    shutil.copytree(first, second)
    for number, node in enumerate(made, 1):
        file = node.data / "pikaserver.toml"
        document = tomllib.loads(file.read_text())
        document["server"]["node"] = number
        document["listeners"]["public"]["bind"] = f"127.0.0.1:{node.http_port}"
        document["listeners"]["devices"]["bind"] = f"127.0.0.1:{node.https_port}"
        document["plugins"]["agents"] = {"bind": f"127.0.0.1:{free_port()}"}
        file.write_text(tomlkit.dumps(document))


class AtNode(OverTheLine):
    """A client that meets one node and signs for the address of both."""

    origin = ORIGIN


@pytest.fixture
def clients(nodes):
    """Give one account as it meets either node."""
    lines = [Line(one.https_port) for one in nodes]
    first = AtNode(nodes[0], lines[0], "pre")
    first.register()
    yield first, AtNode(nodes[1], lines[1], "pre", first.key, first.kid)
    for one in lines:
        one.close()


def outcome(client, path, envelope):
    try:
        return client.send(path, envelope).status_code
    except Refused as refusal:
        return "badNonce" if "badNonce" in str(refusal) else str(refusal)


@pytest.mark.parametrize("turned", [False, True])
def test_a_nonce_of_one_node_is_taken_at_the_other_once(clients, turned):
    """RFC 8555 section 6.5: a replay is refused wherever it comes."""
    here, there = reversed(clients) if turned else clients
    header = there.header("new-order", nonce=here.fresh())
    envelope = there.sign(header, WISH)

    assert 201 == outcome(there, "new-order", envelope)
    assert ["badNonce"] * 4 == [
        outcome(one, "new-order", envelope) for one in (here, there, here, there)
    ]


def test_the_nonce_of_an_answer_is_good_at_the_other(clients):
    """Clients take it from whatever came last; behind a balancer that was anybody."""
    here, there = clients
    envelope = here.sign(here.header("new-order"), WISH)
    nonce = here.send("new-order", envelope).headers["replay-nonce"]

    assert 201 == there.post("new-order", WISH, nonce=nonce).status_code


def test_both_nodes_at_the_same_moment_take_it_once(clients):
    """One statement of the database decides."""
    with ThreadPoolExecutor(2) as threads:
        for _ in range(ROUNDS):
            envelope = clients[0].sign(clients[0].header("new-order"), WISH)
            both = list(
                threads.map(
                    lambda one, octets: outcome(one, "new-order", octets), clients, [envelope] * 2
                )
            )
            assert {201, "badNonce"} == set(both)


def test_an_order_is_finalized_at_both_nodes_and_gives_one_certificate(clients, database):
    """Whoever loses hears of it or gets the same; nothing is signed twice."""
    names, before = [f"race-{number}.example.com" for number in range(ROUNDS)], issued(database)
    with ThreadPoolExecutor(2) as threads:
        for name in names:
            order = clients[0].post("new-order", {"identifiers": dns_names(name)}).json
            wish = {"csr": b64(csr_of(name))}
            signed = [one.sign(one.header(order["finalize"]), wish) for one in clients]
            list(threads.map(outcome, clients, [order["finalize"]] * 2, signed))

    assert before + ROUNDS == issued(database)


def issued(database):
    """Return how many certificates there are by ACME."""
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM certificate WHERE door = 'acme'"))


def test_a_certificate_is_replaced_once_at_both_nodes(clients):
    """RFC 9773 section 5: of orders that replace the same one, one is finalized."""
    with ThreadPoolExecutor(2) as threads:
        for number in range(ROUNDS):
            name = f"again-{number}.example.com"
            key, serial, _ = certificate_id(clients[0].certificate(name))
            wish = {"identifiers": dns_names(name), "replaces": f"{key}.{b64(serial)}"}
            places = [clients[0].post("new-order", wish).json["finalize"] for _ in clients]
            csr = {"csr": b64(csr_of(name))}
            signed = [
                one.sign(one.header(place), csr) for one, place in zip(clients, places, strict=True)
            ]

            both = list(threads.map(outcome, clients, places, signed))

            assert 1 == both.count(200)
            assert 1 == sum("alreadyReplaced" in str(one) for one in both)
