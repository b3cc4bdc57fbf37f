"""What a policy, CAA, a limit or a template lets nobody have, and how it is told."""

import ipaddress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver_acme.policies.rules import read_rules
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import csr_of, dns_names, problem
from tests.acme.issued import NAME


def test_what_the_policy_does_not_allow_is_refused_with_subproblems(make):
    """One for each name that is not allowed (RFC 8555 section 6.7.1)."""
    client = make(allow=["*.example.com"], deny=["secret.example.com"], **{"pre-approved": ["*"]})
    client.register()

    answer = client.order("ok.example.com", "secret.example.com", "www.example.org")

    assert "rejectedIdentifier" == problem(answer)
    assert {"secret.example.com", "www.example.org"} == {
        one["identifier"]["value"] for one in answer.json["subproblems"]
    }
    assert "rejectedIdentifier" == problem(client.order("*.example.com"))


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ({"type": "dns", "value": "192.0.2.1"}, "malformed"),
        ({"type": "dns", "value": "127.1"}, "malformed"),
        ({"type": "dns", "value": "a..example"}, "malformed"),
        ({"type": "dns", "value": "a.*.example.com"}, "malformed"),
        ({"type": "dns", "value": "münchen.example"}, "malformed"),
        ({"type": "dns", "value": "a b.example"}, "malformed"),
        ({"type": "ip", "value": "0x7f.1"}, "malformed"),
        ({"type": "ip", "value": "fe80::1%eth0"}, "malformed"),
        ({"type": "ip", "value": "10.0.0.0/8"}, "malformed"),
        ({"type": "email", "value": "me@example.com"}, "unsupportedIdentifier"),
        ({"type": "dns"}, "malformed"),
        ("www.example.com", "malformed"),
    ],
)
def test_identifiers_have_one_spelling(desk, identifier, kind):
    """And what is none is told so."""
    assert kind == problem(desk.post("new-order", {"identifiers": [identifier]}))


def test_a_name_and_an_address_in_one_certificate(desk):
    """RFC 8738; the address in its usual spelling."""
    wish = [*dns_names(NAME), {"type": "ip", "value": "2001:DB8::0001"}]
    order = desk.post("new-order", {"identifiers": wish})

    done = desk.finalize(order, csr_of(NAME, ips=[ipaddress.ip_address("2001:db8::1")]))

    assert {"type": "ip", "value": "2001:db8::1"} in order.json["identifiers"]
    assert "valid" == done.json["status"]


def test_a_policy_that_approves_no_more_is_held_at_the_end(desk):
    """What was approved without a proof counts only while the policy still says so."""
    order = desk.order(NAME)
    desk.office.policies.put(desk.policy, read_rules({"template": "web"}), "test")

    assert "unauthorized" == problem(desk.finalize(order, csr_of(NAME)))


def test_caa_is_asked_where_nothing_was_proved(make):
    """RFC 8659: pre-approved or not, somebody else may be the only one to issue."""
    client = make(**{"pre-approved": ["*"], "caa-identities": ["pki.example"]})
    client.register()
    order = client.order(NAME)
    client.office.validators.caa = Verdict("caa", "only ca.example may issue")
    try:
        answer = client.finalize(order, csr_of(NAME))
    finally:
        client.office.validators.caa = Verdict()

    assert "caa" == problem(answer)
    assert NAME == client.office.validators.asked_caa[-1].name
    assert "valid" == client.finalize(order, csr_of(NAME)).json["status"]


def test_rate_limits_say_when_to_come_back(make):
    """Per account, per address, per set of names; 429 with Retry-After."""
    limits = {"orders-per-account-per-hour": 2, "accounts-per-address-per-hour": 2}
    client = make(**{"pre-approved": ["*"], "limits": limits})
    client.register()
    client.order("a.example")
    client.order("b.example")

    answer = client.order("c.example")
    second, third = client.another(), client.another()

    assert (429, "rateLimited") == (answer.status_code, problem(answer))
    assert "360" == answer.headers["retry-after"]
    assert [201, 429] == [second.register().status_code, third.register().status_code]


def test_the_same_names_are_limited_over_all_accounts(make):
    """Whoever asks; a replacement is exempt."""
    limits = {"certificates-per-names-per-day": 1}
    client = make(**{"pre-approved": ["*"], "limits": limits})
    client.register()
    client.certificate("set.example")
    other = client.another()
    other.register()

    assert "rateLimited" == problem(other.order("set.example"))


def test_a_template_that_refuses_is_quoted(make):
    """The decision trace's last word reaches the client, in ACME's type."""
    client = make(**{"pre-approved": ["*"]})
    client.register()
    key = ec.generate_private_key(ec.SECP521R1())

    answer = client.finalize(client.order(NAME), csr_of(NAME, key=key))

    assert "badPublicKey" == problem(answer)
    assert "ec-p521" in answer.json["detail"]
