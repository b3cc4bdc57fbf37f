"""Revocation, renewal, profiles, domains above, certificates that follow, other chains, crashes."""

import json
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey

from pikaserver.api.certificates import CertificateQuery, CertificateStatus, RevocationReason
from pikaserver.api.errors import KeyUnavailable, Unavailable
from pikaserver.authority.renewal_windows import write_identifier
from pikaserver_acme.storage import orders
from pikaserver_acme.validation.question import Verdict
from tests.acme.desk import b64, csr_of, dns_names, problem

NAME = "www.example.com"


def first_of(pem):
    return x509.load_pem_x509_certificate(pem.encode())


def der_of(pem):
    return first_of(pem).public_bytes(Encoding.DER)


def record_of(server, pem):
    return server.certificates.by_certificate(der_of(pem))


def revoke(desk, pem, **wish):
    return desk.post("revoke-cert", {"certificate": b64(der_of(pem))} | wish)


def test_the_account_revokes_with_a_reason(desk, server):
    """Once; a second time it hears that it is done."""
    pem = desk.certificate(NAME)

    answer, again = revoke(desk, pem, reason=1), revoke(desk, pem)

    assert (200, b"") == (answer.status_code, answer.content)
    assert RevocationReason.KEY_COMPROMISE is record_of(server, pem).revocation.reason
    assert "alreadyRevoked" == problem(again)


@pytest.mark.parametrize("reason", [2, 6, 8, 99, -1, "1", True, None])
def test_reasons_that_are_not_a_subscribers_are_refused(desk, server, reason):
    """cACompromise, a hold, nonsense."""
    pem = desk.certificate(NAME)

    assert "badRevocationReason" == problem(revoke(desk, pem, reason=reason))
    assert record_of(server, pem).revocation is None


def test_the_key_of_a_certificate_revokes_it(desk, server):
    """By jwk, without an account; any other key does not."""
    key = ec.generate_private_key(ec.SECP256R1())
    done = desk.finalize(desk.order(NAME), csr_of(NAME, key=key))
    pem = desk.post(done.json["certificate"]).text
    holder, thief = desk.another(), desk.another()
    holder.key = ECKey.import_key(_pem(key))

    assert "unauthorized" == problem(revoke(thief, pem))
    assert 200 == revoke(holder, pem).status_code
    assert CertificateStatus.REVOKED is record_of(server, pem).status


def test_who_has_proved_all_names_revokes(prover):
    """RFC 8555 section 7.6; one that has proved some, or was given them, does not."""
    order = prover.order("a.example.com", "b.example.com")
    for index in (0, 1):
        prover.settle(prover.challenge(order, index=index))
    done = prover.finalize(order, csr_of("a.example.com", "b.example.com"))
    pem = prover.post(done.json["certificate"]).text
    other = prover.another()
    other.register()
    new = other.order("a.example.com", "b.example.com")

    other.settle(other.challenge(new, index=0))
    refused = revoke(other, pem)
    other.settle(other.challenge(new, index=1))

    assert "unauthorized" == problem(refused)
    assert 200 == revoke(other, pem).status_code


def test_a_name_that_anybody_gets_proves_nothing(desk, server):
    """Pre-approval lets in, and gives no power over the certificates of others."""
    pem = desk.certificate(NAME)
    other = desk.another()
    other.register()
    other.certificate(NAME)

    assert "unauthorized" == problem(revoke(other, pem))
    assert record_of(server, pem).revocation is None


def test_only_certificates_of_ours_are_revoked(desk, server):
    """Not an authority's, not one of another door, not a stranger's."""
    root = server.authorities.get("issuing").generations[0].certificate
    foreign = b64(root)

    assert "unauthorized" == problem(desk.post("revoke-cert", {"certificate": foreign}))
    assert "malformed" == problem(desk.post("revoke-cert", {"certificate": "AAAA"}))
    assert "malformed" == problem(desk.post("revoke-cert", {}))


def test_renewal_information_is_for_everybody(desk, web):
    """RFC 9773: a window and Retry-After; and `replaces` is honoured once."""
    pem = desk.certificate(NAME)
    identifier = write_identifier(der_of(pem))
    answer = web.get(f"/acme/{desk.policy}/renewal-info/{identifier}")

    order = desk.order(NAME, replaces=identifier)
    done = desk.finalize(order, csr_of(NAME))
    again = desk.order(NAME, replaces=identifier)

    assert {"start", "end"} == answer.json["suggestedWindow"].keys()
    assert int(answer.headers["retry-after"]) > 0
    assert (identifier, "valid") == (order.json["replaces"], done.json["status"])
    assert (409, "alreadyReplaced") == (again.status_code, problem(again))


def test_a_replacement_must_fit(desk):
    """Of another account, for other names, or of nothing: refused."""
    identifier = write_identifier(der_of(desk.certificate(NAME)))
    other = desk.another()
    other.register()

    assert "unauthorized" == problem(other.order(NAME, replaces=identifier))
    assert "malformed" == problem(desk.order("other.example", replaces=identifier))
    assert "malformed" == problem(desk.order(NAME, replaces="AAAA.BBBB"))


def test_a_window_moves_when_a_certificate_must_go(desk, server, web):
    """A revoked one is to be renewed at once."""
    pem = desk.certificate(NAME)
    revoke(desk, pem)

    window = web.get(f"/acme/{desk.policy}/renewal-info/{write_identifier(der_of(pem))}").json

    assert datetime.fromisoformat(window["suggestedWindow"]["end"]) <= server.clock()


def test_a_profile_is_a_template(make):
    """A name that is not there is refused; one that is there is kept with the order."""
    profiles = {"client": {"template": "client", "description": "for people"}}
    client = make(**{"pre-approved": ["*"], "profiles": profiles})
    client.register()
    directory = client.web.get(f"/acme/{client.policy}/directory").json

    order = client.order(NAME, profile="client")

    assert {"client": "for people"} == directory["meta"]["profiles"]
    assert "client" == order.json["profile"]
    assert "invalidProfile" == problem(client.order(NAME, profile="server"))
    # That template has no names of hosts.
    assert "badCSR" == problem(client.finalize(order, csr_of(NAME)))


def test_the_end_may_be_asked_for(desk, server):
    """notAfter, as far as the template lets anybody choose."""
    end = server.clock() + timedelta(days=10)
    order = desk.order(NAME, notAfter=end.isoformat())
    done = desk.finalize(order, csr_of(NAME))
    pem = desk.post(done.json["certificate"]).text

    assert abs(first_of(pem).not_valid_after_utc - end) < timedelta(minutes=10)
    late = (server.clock() + timedelta(days=4000)).isoformat()
    refused = desk.finalize(desk.order(NAME, notAfter=late), csr_of(NAME))
    assert "badCSR" == problem(refused)
    for wish in ({"notAfter": "tomorrow"}, {"notBefore": late}, {"notAfter": "2001-01-01T00:00Z"}):
        assert "malformed" == problem(desk.order(NAME, **wish))


def test_a_domain_above_is_proved_once_for_all_below(make):
    """RFC 9444, by newAuthz and by ancestorDomain; where the policy says so."""
    client = make(subdomains=True, challenges=["dns-01", "http-01"])
    client.register()
    wish = {"type": "dns", "value": "example.org", "subdomainAuthAllowed": True}
    above = client.post("new-authz", {"identifier": wish})
    kinds = {one["type"] for one in above.json["challenges"]}
    client.settle(above.json["challenges"][0])

    below = client.order("a.b.example.org", "*.example.org")
    asked = client.post(
        "new-order",
        {"identifiers": [{**dns_names("x.example.net")[0], "ancestorDomain": "example.net"}]},
    )
    needed = client.post(asked.json["authorizations"][0]).json

    assert {"dns-01"} == kinds
    assert above.json["subdomainAuthAllowed"]
    assert "ready" == below.json["status"]
    assert (
        "valid" == client.finalize(below, csr_of("a.b.example.org", "*.example.org")).json["status"]
    )
    assert ("example.net", True) == (needed["identifier"]["value"], needed["subdomainAuthAllowed"])


def test_a_domain_above_must_be_above(make, prover):
    client = make(subdomains=True, challenges=["dns-01"])
    client.register()
    wrong = [{**dns_names("x.example.net")[0], "ancestorDomain": "example.org"}]

    assert "malformed" == problem(client.post("new-order", {"identifiers": wrong}))
    right = [{**dns_names("x.example.net")[0], "ancestorDomain": "example.net"}]
    assert "malformed" == problem(prover.post("new-order", {"identifiers": right}))


def test_an_authorization_beforehand(prover):
    """newAuthz: made once, found again once it is valid; never for a wildcard."""
    made = prover.post("new-authz", {"identifier": dns_names(NAME)[0]})
    prover.settle(made.json["challenges"][0])

    found = prover.post("new-authz", {"identifier": dns_names(NAME)[0]})

    assert (201, 200) == (made.status_code, found.status_code)
    assert made.headers["location"] == found.headers["location"]
    assert "ready" == prover.order(NAME).json["status"]
    wildcard = {"identifier": dns_names("*.example.com")[0]}
    assert "malformed" == problem(prover.post("new-authz", wildcard))


@pytest.fixture
def star(make, server):
    """An order whose certificates follow each other for three days, each for one."""
    client = make(**{"pre-approved": ["*"], "auto-renewal": {"allowed": True}})
    client.register()
    wish = {
        "end-date": (server.clock() + timedelta(days=3)).isoformat(),
        "lifetime": 86_400,
        "allow-certificate-get": True,
    }
    order = client.order(NAME, **{"auto-renewal": wish})
    return client, client.finalize(order, csr_of(NAME))


def fetch(client, order):
    return client.web.get(order.json["star-certificate"].removeprefix("https://acme.example.test"))


def test_certificates_follow_until_the_end(star, server):
    """RFC 8739: half of a life before it ends the next one is there, for anybody to GET."""
    client, order = star
    first = fetch(client, order)
    serials = {first_of(first.text).serial_number}

    for _ in range(5):
        server.clock.advance(timedelta(hours=13))
        client.office.successors.issue_due()
        serials.add(first_of(fetch(client, order).text).serial_number)
    server.clock.advance(timedelta(days=1))
    ended = fetch(client, order)

    assert "valid" == order.json["status"]
    assert "certificate" not in order.json
    assert "cert-not-after" in first.headers
    assert len(serials) >= 4
    assert "autoRenewalExpired" == problem(ended)


def test_certificates_that_follow_are_canceled(star, server):
    """Not revoked: RFC 8739 section 3.1.2."""
    client, order = star
    pem = fetch(client, order).text
    refused = revoke(client, pem)
    canceled = client.post(order.headers["location"], {"status": "canceled"})
    again = client.post(order.headers["location"], {"status": "canceled"})

    server.clock.advance(timedelta(hours=13))
    client.office.successors.issue_due()

    assert "autoRenewalRevocationNotSupported" == problem(refused)
    assert "canceled" == canceled.json["status"]
    assert "autoRenewalCancellationInvalid" == problem(again)
    assert "autoRenewalCanceled" == problem(fetch(client, order))
    assert 1 == len([one for one in server.certificates.find(CertificateQuery(name=NAME))
                     if one.certificate == der_of(pem)])  # fmt: skip


def test_what_star_asks_is_held(make, desk, server):
    client = make(**{"pre-approved": ["*"], "auto-renewal": {"allowed": True}})
    client.register()
    soon = (server.clock() + timedelta(days=3)).isoformat()
    for wish in (
        {"lifetime": 86_400},
        {"end-date": soon, "lifetime": 1},
        {"end-date": soon},
        {"end-date": "2001-01-01T00:00:00Z", "lifetime": 86_400},
        {"end-date": soon, "lifetime": 86_400, "start-date": soon},
        {"end-date": soon, "lifetime": 86_400, "lifetime-adjust": 86_400},
        "yes",
    ):
        assert "malformed" == problem(client.order(NAME, **{"auto-renewal": wish}))
    wish = {"end-date": soon, "lifetime": 86_400}
    assert "malformed" == problem(desk.order(NAME, **{"auto-renewal": wish}))


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


def test_the_directory_names_everything(desk, web):
    """And a closed one is not there."""
    found = web.get(f"/acme/{desk.policy}/directory").json
    nonce = desk.fresh()
    desk.office.policies.set_enabled(desk.policy, "test", enabled=False)

    assert f"https://acme.example.test/acme/{desk.policy}/new-order" == found["newOrder"]
    assert found["meta"]["externalAccountRequired"] is False
    assert 404 == web.get(f"/acme/{desk.policy}/directory").status_code
    assert 404 == web.get(f"/acme/{desk.policy}/new-nonce").status_code
    assert 404 == desk.post("new-order", {}, nonce=nonce).status_code
    assert 404 == web.get("/acme/nothing/directory").status_code
    json.dumps(found)


def test_directory_and_nonces_may_be_asked_for_by_an_account(desk, web):
    """POST-as-GET, which RFC 8555 section 6.3 wants beside GET; and nothing but that."""
    found = desk.post("directory")
    nonce = desk.post("new-nonce")
    brings = desk.post("directory", {"meta": {}})

    assert web.send("GET", f"/acme/{desk.policy}/directory").json == found.json
    assert (204, b"") == (nonce.status_code, nonce.content)
    assert nonce.headers["replay-nonce"]
    assert "malformed" == problem(brings)


@pytest.mark.parametrize(
    "path",
    [
        "new-account", "new-order", "new-authz", "revoke-cert", "key-change", "account/1",
        "account/1/orders", "order/1", "order/1/finalize", "authorization/1", "challenge/1",
        "certificate/1", "certificate/1/1",
    ],
)  # fmt: skip
def test_what_is_signed_for_is_not_to_be_had_by_get(desk, web, path):
    """405 and malformed (RFC 8555 section 6.3), and what to do instead."""
    refused = web.send("GET", f"/acme/{desk.policy}/{path}")

    assert (405, "POST") == (refused.status_code, refused.headers["allow"])
    assert "malformed" == problem(refused)
    assert "signed POST" in refused.json["detail"]


def test_validation_asks_and_is_answered(prover):
    """What validation is told of a challenge; nothing once it is settled."""
    challenge = prover.challenge(prover.order(f"*.{NAME}"))
    number = int(challenge["url"].rpartition("/")[2])
    before = prover.office.proving.ask(number)
    prover.post(challenge["url"], {})
    asked = prover.office.proving.ask(number)
    prover.office.proving.settle(number, Verdict())

    assert before is None
    assert (NAME, True, "dns-01") == (asked.identifier_value, asked.wildcard, asked.challenge_type)
    assert f"{challenge['token']}.{prover.key.thumbprint()}" == asked.key_authorization
    assert prover.kid == asked.account_url
    assert prover.office.proving.ask(number) is None
    assert not prover.office.proving.settle(number, Verdict("dns", "too late"))


def _pem(key):
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - here only
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
