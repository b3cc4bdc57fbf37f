"""Accounts: opened, changed, bound, given a new key, given up."""

import hmac
import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver_acme.storage import accounts as accounts_storage
from tests.acme.desk import b64, problem


@pytest.fixture
def bound(make):
    """A policy that wants external accounts."""
    return make(eab="required", **{"pre-approved": ["*"]})


def binding(desk, made, *, payload=None, **changes):
    """Return an externalAccountBinding for a registration."""
    header = {"alg": "HS256", "kid": made.kid, "url": desk.url("new-account")} | changes
    payload = payload or desk.key.as_dict(private=False)
    parts = [b64(json.dumps(one).encode()) for one in (header, payload)]
    secret = urlsafe_b64decode(made.hmac + "=" * (-len(made.hmac) % 4))
    mac = hmac.digest(secret, ".".join(parts).encode(), "sha256")
    return {"protected": parts[0], "payload": parts[1], "signature": b64(mac)}


def create(desk, **wishes):
    return desk.office.externals.create(desk.policy, "test", **wishes)


def test_an_account_is_opened_once(make):
    """201 and its URL; the same key again gets 200 and the same URL."""
    client = make()
    first = client.register(contact=["mailto:me@example.com"])
    again = client.another()
    again.key = client.key
    second = again.register()

    assert (201, 200) == (first.status_code, second.status_code)
    assert first.headers["location"] == second.headers["location"]
    assert ["mailto:me@example.com"] == first.json["contact"]
    assert "valid" == first.json["status"]


@pytest.mark.parametrize(
    "key",
    [
        lambda: (ECKey.generate_key("P-384"), "ES384"),
        lambda: (ECKey.generate_key("P-521"), "ES512"),
        lambda: (RSAKey.generate_key(2048), "RS256"),
        lambda: (OKPKey.generate_key("Ed25519"), "EdDSA"),
    ],
    ids=["ES384", "ES512", "RS256", "EdDSA"],
)
def test_every_kind_of_key_signs(make, key):
    """And with its own algorithm only."""
    client = make()
    client.key, algorithm = key()

    answer = client.post("new-account", {}, alg=algorithm)

    assert 201 == answer.status_code


def test_an_account_that_is_not_there_is_said_so(make):
    """Asking with onlyReturnExisting makes nothing."""
    assert "accountDoesNotExist" == problem(make().register(onlyReturnExisting=True))


def test_terms_are_to_be_agreed_to(make):
    """The problem links to them."""
    terms = "https://pki.example/terms"
    client = make(**{"pre-approved": ["*"], "terms-of-service": terms})

    refused = client.post("new-account", {})
    agreed = client.register()

    assert "userActionRequired" == problem(refused)
    assert f'<{terms}>;rel="terms-of-service"' in refused.headers["link"]
    assert agreed.json["termsOfServiceAgreed"]


@pytest.mark.parametrize(
    ("contact", "kind"),
    [
        (["tel:+123"], "unsupportedContact"),
        (["mailto:a@example.com,b@example.com"], "invalidContact"),
        (["mailto:a@example.com?subject=x"], "invalidContact"),
        (["mailto:nobody"], "invalidContact"),
        (["mailto:a@example.com"] * 11, "invalidContact"),
        ("mailto:a@example.com", "malformed"),
    ],
)
def test_contacts_are_plain_addresses(make, contact, kind):
    assert kind == problem(make().register(contact=contact))


def test_contacts_change(desk):
    desk.post(desk.kid, {"contact": ["mailto:new@example.com"]})

    assert ["mailto:new@example.com"] == desk.post(desk.kid).json["contact"]


def test_an_account_that_is_given_up_can_do_nothing(desk):
    """401 for every further request (RFC 8555 section 7.3.6); its orders end."""
    order = desk.order("www.example.com")
    ended = desk.post(desk.kid, {"status": "deactivated"})

    answer = desk.post(order.headers["location"])

    assert "deactivated" == ended.json["status"]
    assert (401, "unauthorized") == (answer.status_code, problem(answer))
    desk.kid = None
    assert "unauthorized" == problem(desk.register())


def rollover(desk, new, **changes):
    inner = {"account": desk.kid, "oldKey": desk.key.as_dict(private=False)} | changes
    url = desk.url("key-change")
    header = {"alg": "ES256", "jwk": new.as_dict(private=False), "url": url}
    return desk.post("key-change", desk.sign(header, inner, new))


def test_a_key_is_changed_by_both(desk):
    """The new one signs from now on, the old one no more."""
    old, new = desk.key, ECKey.generate_key("P-256")

    answer = rollover(desk, new)
    refused = desk.order("www.example.com")
    desk.key = new

    assert (200, "valid") == (answer.status_code, answer.json["status"])
    assert "malformed" == problem(refused)
    assert 201 == desk.order("www.example.com").status_code
    assert old.thumbprint() != new.thumbprint()


def test_a_key_that_has_an_account_is_refused(desk):
    """409, and where that account is (RFC 8555 section 7.3.5)."""
    other = desk.another()
    other.register()

    answer = rollover(desk, other.key)

    assert (409, other.kid) == (answer.status_code, answer.headers["location"])


def test_a_key_that_gets_an_account_meanwhile_is_refused(desk, monkeypatch):
    """Two nodes give it away at the same moment: the database decides, and the client hears it."""
    other = desk.another()
    other.register()
    monkeypatch.setattr(accounts_storage, "by_key", lambda *_: None)
    header = {
        "alg": "ES256",
        "jwk": other.key.as_dict(private=False),
        "url": desk.url("key-change"),
    }
    wish = {"account": desk.kid, "oldKey": desk.key.as_dict(private=False)}

    answer = desk.post("key-change", desk.sign(header, wish, other.key))

    assert (409, "conflict") == (answer.status_code, problem(answer))
    assert 200 == desk.post(desk.kid).status_code


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "https://acme.example.test/acme/other/account/1"},
        {"oldKey": ECKey.generate_key("P-256").as_dict(private=False)},
        {"oldKey": None},
    ],
)
def test_a_rollover_names_account_and_old_key(desk, changes):
    assert "malformed" == problem(rollover(desk, ECKey.generate_key("P-256"), **changes))


def test_an_external_account_is_needed_and_spent(bound):
    """Good for as many accounts as it says; the same key again needs none."""
    made = create(bound, uses=1)
    refused = bound.register()
    first = bound.register(externalAccountBinding=binding(bound, made))
    second = bound.another()
    spent = second.register(externalAccountBinding=binding(second, made))

    assert "externalAccountRequired" == problem(refused)
    assert 201 == first.status_code
    assert "unauthorized" == problem(spent)
    bound.kid = None
    assert 200 == bound.register().status_code
    assert "accountDoesNotExist" == problem(
        second.post("new-account", {"onlyReturnExisting": True}, kid=None)
    )


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"kid": "unknown"}, "unauthorized"),
        ({"url": "https://evil.example/acme/new-account"}, "unauthorized"),
        ({"alg": "none"}, "badSignatureAlgorithm"),
        ({"alg": "ES256"}, "badSignatureAlgorithm"),
        ({"nonce": "AAAA"}, "malformed"),
        ({"payload": ECKey.generate_key("P-256").as_dict(private=False)}, "malformed"),
    ],
)
def test_a_binding_that_is_not_right_is_refused(bound, changes, kind):
    """Another kid, place, algorithm, nonce or account key; nothing is spent."""
    made = create(bound)
    wrong = binding(bound, made, **changes)

    assert kind == problem(bound.register(externalAccountBinding=wrong))
    right = binding(bound, made)
    assert 201 == bound.register(externalAccountBinding=right).status_code


def test_a_wrong_hmac_key_is_not_told_from_an_unknown_kid(bound):
    """Who guesses learns nothing."""
    made = create(bound)
    wrong = bound.register(
        externalAccountBinding=binding(bound, replace(made, hmac=b64(bytes(32))))
    )
    unknown = bound.register(externalAccountBinding=binding(bound, made, kid="nobody"))

    assert "unauthorized" == problem(wrong)
    assert wrong.json["detail"] == unknown.json["detail"]


def test_an_external_account_ends(bound, server):
    """By its time, or when it is withdrawn; and not under another policy."""
    expired, withdrawn = create(bound, lifetime=timedelta(hours=1)), create(bound)
    bound.office.externals.withdraw(withdrawn.kid, "test")
    server.clock.advance(timedelta(hours=2))

    for made in (expired, withdrawn):
        wish = binding(bound, made)
        assert "unauthorized" == problem(bound.register(externalAccountBinding=wish))
    with pytest.raises(NotFound):
        bound.office.externals.withdraw(withdrawn.kid, "test")


def test_an_external_account_narrows_what_may_be_asked(bound):
    """Bound to allowed domains, within those of the policy."""
    made = create(bound, allow=("*.team.example",))
    bound.register(externalAccountBinding=binding(bound, made))

    assert 201 == bound.order("www.team.example").status_code
    assert "rejectedIdentifier" == problem(bound.order("www.example.com"))


def test_an_absurd_external_account_is_not_made(bound, make):
    for wishes in ({"uses": 0}, {"lifetime": timedelta(0)}, {"allow": ("10.0.0.0/99",)}):
        with pytest.raises(RequestRejected):
            create(bound, **wishes)
    with pytest.raises(RequestRejected, match="no external accounts"):
        create(make(eab="none", **{"pre-approved": ["*"]}))


def test_the_secret_is_stored_sealed(bound):
    """Neither the database nor the trail holds it."""
    made = create(bound)
    (stored,) = bound.office.externals.all(bound.policy)

    assert made.hmac.encode() not in stored.sealed_key
    assert made.hmac not in repr(made) + repr(stored)
