"""``pikaserver acme``: as an operator types it, beside nothing that runs."""

import json

import pytest

from pikaserver.cli.main import run
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.client import ServiceClient
from pikaserver_acme.office import office
from pikaserver_acme.plugin import register_services
from pikaserver_acme.policies.rules import read_rules
from pikaserver_acme.starting import make_first_policy
from tests.acme import desk as desks
from tests.acme.desk import Desk, csr_of


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acme") / "data"
    set_up(FirstStart(folder), {})
    return folder


@pytest.fixture
def acme(data, capsys):
    """Give the command: what it prints, as JSON where that was asked."""

    def call(*words, code=0):
        assert code == run(["acme", *words, "--data", str(data), "-o", "json"])
        printed = capsys.readouterr()
        return json.loads(printed.out) if printed.out else printed.err

    return call


def test_a_policy_is_made_shown_changed_and_closed(acme):
    """What is not said stays; a list is replaced as a whole."""
    made = acme(
        "policy", "create", "plant", "--template", "web", "--allow", "*.plant.example",
        "--pre-approve", "--eab", "required", "--http-port", "8080", "--dns", "127.0.0.1:5353",
        "--profile", "short=web",
    )  # fmt: skip
    changed = acme(
        "policy", "set", "plant", "--allow", "*.plant.example", "--allow", "10.0.0.0/8",
        "--set", "limits.pending-authorizations=7", "--set", "wildcards=false",
    )  # fmt: skip
    closed = acme("policy", "close", "plant")
    listed = acme("policy", "list")
    again = acme("policy", "open", "plant")

    assert made["directory"].endswith("/acme/plant/directory")
    assert (["*"], "required", 8080) == (made["pre_approved"], made["eab"], made["http_port"])
    assert (["*.plant.example", "10.0.0.0/8"], "required") == (changed["allow"], changed["eab"])
    assert (7, False) == (changed["limits"]["pending-authorizations"], changed["wildcards"])
    assert ("closed", "open") == (closed["state"], again["state"])
    assert ["closed"] == [one["state"] for one in listed if one["name"] == "plant"]
    assert again == acme("policy", "show", "plant")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("create", "plant2", "--template", "nothing"), "no template"),
        (("create", "Plant", "--template", "web"), "lower-case"),
        (("create", "x", "--template", "web", "--allow", "10.0.0.0/99"), "network"),
        (("create", "x", "--template", "web", "--set", "allows=1"), "allows"),
        (("create", "x"), "--template is missing"),
        (("create", "x", "--template", "web", "--set", "a"), "KEY=JSON"),
        (("create", "x", "--template", "web", "--profile", "a"), "NAME=TEMPLATE"),
        (("show", "nothing"), "no ACME policy"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(data, capsys, words, says):
    """In one sentence."""
    assert 0 != run(["acme", "policy", *words, "--data", str(data)])
    assert says in capsys.readouterr().err


def test_an_external_account_is_shown_once(acme, data, capsys):
    """With a ready command for every client; the list has no secret."""
    acme("policy", "create", "bound", "--template", "web", "--pre-approve", "--eab", "required")
    made = acme("eab", "create", "--policy", "bound", "--uses", "3", "--comment", "team a")
    listed = acme("eab", "list", "--policy", "bound")
    withdrawn = acme("eab", "withdraw", made["kid"])
    assert 0 == run(["acme", "eab", "create", "--policy", "bound", "--data", str(data)])
    table = capsys.readouterr().out

    assert {"kid", "hmac", "policy", "directory", "commands"} <= made.keys()
    assert made["hmac"] in made["commands"]["certbot"]
    assert made["hmac"] not in json.dumps(listed)
    assert [("usable", 3, "team a")] == [
        (one["state"], one["uses_left"], one["comment"]) for one in listed
    ]
    assert "withdrawn" == withdrawn["state"]
    assert "# cert-manager" in table


def test_an_order_is_shown_with_its_whole_trace(acme, data, capsys):
    """Proofs, attempts, decisions and the certificate; then its account is taken back."""
    with open_server(load({}, data=data), {}) as server:
        web = ServiceClient(*register_services(server.for_plugins))
        origin = server.base_url("acme")
        client = Desk.make(server, web)
        before, desks.ORIGIN = desks.ORIGIN, origin
        try:
            client.register()
            client.finalize(client.order("traced.example"), csr_of("traced.example"))
        finally:
            desks.ORIGIN = before
    (order,) = acme("order", "list")
    shown = acme("order", "show", str(order["id"]))
    account = acme("account", "list", "--policy", client.policy)[0]
    assert 0 == run(["acme", "order", "show", str(order["id"]), "--data", str(data)])
    table = capsys.readouterr().out
    revoked = acme("account", "revoke", str(account["id"]))

    assert ("valid", ["traced.example"]) == (shown["status"], shown["identifiers"])
    assert ["pre-approved"] == [one["how"] for one in shown["authorizations"]]
    assert {"door", "proof"} <= {one["rule"] for one in shown["decisions"]}
    assert "(valid)" in shown["certificate"]
    assert "decisions:" in table
    assert "revoked" == revoked["status"] == acme("account", "show", str(account["id"]))["status"]


def test_the_first_policy_is_made_once(tmp_path):
    """Beside others, and not again when closed; it asks for proofs, of private addresses, too."""
    set_up(FirstStart(tmp_path / "data"), {})
    with open_server(load({}, data=tmp_path / "data"), {}) as server:
        here = office(server.for_plugins)
        here.policies.put("own", read_rules({"template": "web"}), "test")
        make_first_policy(here)
        here.policies.set_enabled("web", "test", enabled=False)
        make_first_policy(here)
        (_, policy) = here.policies.all()
        assert not policy.enabled

    assert ("web", "web", ()) == (policy.name, policy.rules.template, policy.rules.pre_approved)
    limits = policy.rules.validation()
    assert "10.0.0.0/8" in limits.reachable
    assert () == limits.reachable_directly


@pytest.mark.parametrize(
    ("words", "directly"),
    [
        ((), False),
        (("--dns", "10.0.0.53:53"), False),
        (("--dns", "127.0.0.1:5353", "--set", "reachable-directly=[]"), False),
        (("--http-port", "5002", "--set", "reachable=[]"), False),
        (("--http-port", "80"), False),
        (("--dns", "127.0.0.1:5353"), True),
        (("--dns", "[::1]:5353"), True),
        (("--dns", "localhost:5353"), True),
        (("--http-port", "5002"), True),
        (("--tls-port", "5001"), True),
        (("--http-port", "5002", "--reach", "10.0.0.0/8"), False),
    ],
)
def test_clients_beside_the_server_are_reached_where_a_rule_names_them(acme, words, directly):
    """By a port of their own, or a DNS server here; the policy says so, and ``--reach`` instead."""
    name = f"lab-{len(acme('policy', 'list'))}"

    made = acme("policy", "create", name, "--template", "web", *words)

    assert (["127.0.0.0/8", "::1/128"] if directly else []) == made["reachable_directly"]
    assert "127.0.0.0/8" not in made["reachable"]
    if "--set" not in words:
        assert "10.0.0.0/8" in made["reachable"]


def test_a_policy_reaches_loopback_by_its_own_rule_alone():
    """No port and no DNS server implies it; what is stored is what is reached."""
    rules = {"template": "web", "dns": ["127.0.0.1:5353"], "http-port": 5002, "tls-port": 5001}

    closed = read_rules(rules).validation()
    opened = read_rules({**rules, "reachable-directly": ["127.0.0.1/32"]}).validation()
    before = read_rules({**rules, "reachable": None}).validation()

    assert () == closed.reachable_directly == before.reachable_directly
    assert ("127.0.0.1/32",) == opened.reachable_directly
    assert closed.reachable == before.reachable
    assert "10.0.0.0/8" in closed.reachable


def test_who_opens_loopback_is_told_and_can_close_it(acme, data, capsys):
    """Once closed it stays closed, until it is said again."""
    name = f"lab-{len(acme('policy', 'list'))}"
    words = ["acme", "policy", "create", name, "--template", "web", "--dns", "127.0.0.1:5353"]
    assert 0 == run([*words, "--data", str(data), "-o", "json"])
    assert "reachable-directly is 127.0.0.0/8 ::1/128" in capsys.readouterr().err

    assert [] == acme("policy", "set", name, "--set", "reachable-directly=[]")["reachable_directly"]
    assert [] == acme("policy", "set", name, "--allow", "*.example.com")["reachable_directly"]
    narrow = acme("policy", "set", name, "--reach-directly", "127.0.0.1/32")
    assert ["127.0.0.1/32"] == narrow["reachable_directly"]
    kept = acme("policy", "set", name, "--http-port", "5003")
    assert ["127.0.0.1/32"] == kept["reachable_directly"]
