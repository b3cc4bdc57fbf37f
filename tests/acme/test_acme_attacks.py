"""Requests that are signed by the wrong key, in the wrong way, for another place, or twice."""

import hmac
import json
from http import HTTPStatus

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey

from tests.acme.desk import JOSE, ORIGIN, b64, csr_of, dns_names, problem

WISH = {"identifiers": dns_names("www.example.com")}


def orders_of(desk):
    return desk.post(f"{desk.kid}/orders").json["orders"]


def test_what_nobody_signed_is_refused(desk):
    """RFC 8555 section 6.2: ``none`` and MACs never; the answer names what is allowed."""
    header = desk.header("new-order", alg="none")
    envelope = {"protected": b64(json.dumps(header).encode()), "payload": b64(b"{}")}

    answer = desk.send("new-order", {**envelope, "signature": ""})

    assert "badSignatureAlgorithm" == problem(answer)
    assert ["ES256", "ES384", "ES512", "EdDSA", "RS256"] == answer.json["algorithms"]
    assert [] == orders_of(desk)


@pytest.mark.parametrize("secret", ["pem", "der", "thumbprint"])
def test_the_public_key_is_no_secret(desk, secret):
    """HS256 with the public key as its secret: the confusion that broke many."""
    public = {
        "pem": desk.key.as_pem(private=False),
        "der": desk.key.as_der(private=False),
        "thumbprint": desk.key.thumbprint().encode(),
    }[secret]
    header = desk.header("new-order", alg="HS256")
    parts = b64(json.dumps(header).encode()), b64(json.dumps(WISH).encode())
    mac = hmac.digest(public, ".".join(parts).encode(), "sha256")

    answer = desk.send(
        "new-order", {"protected": parts[0], "payload": parts[1], "signature": b64(mac)}
    )

    assert "badSignatureAlgorithm" == problem(answer)


def test_key_and_account_do_not_go_together(desk):
    """A jwk is for new accounts and revocation by key; kid everywhere else; never both."""
    jwk = desk.key.as_dict(private=False)
    stranger = desk.another()

    assert "malformed" == problem(desk.post("new-order", WISH, jwk=jwk))
    assert "malformed" == problem(stranger.post("new-order", WISH))
    assert "malformed" == problem(desk.post("new-account", {}))
    assert "malformed" == problem(desk.post("new-order", WISH, kid=None))
    assert [] == orders_of(desk)


def test_another_key_signs_for_nobody(desk):
    """The account named by kid is the one whose key counts."""
    thief = ECKey.generate_key("P-256")

    answer = desk.send("new-order", desk.sign(desk.header("new-order"), WISH, thief))

    assert "malformed" == problem(answer)
    assert "does not verify" in answer.json["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/acme/{policy}/new-order",
        ORIGIN + "/acme/{policy}/new-account",
        ORIGIN + "/acme/other/new-order",
        ORIGIN + "/acme/{policy}/new-order?x=1",
        ORIGIN + ":8443/acme/{policy}/new-order",
        "http://acme.example.test/acme/{policy}/new-order",
        "nonsense",
    ],
)
def test_a_request_signed_for_another_place_is_refused(desk, url):
    """RFC 8555 section 6.4: what was signed for another URL is not meant for this one."""
    header = desk.header("new-order") | {"url": url.format(policy=desk.policy)}

    answer = desk.send("new-order", desk.sign(header, WISH))

    assert "unauthorized" == problem(answer)


def test_an_account_of_another_policy_is_none_here(desk, make):
    """Accounts belong to one directory, even with the same key."""
    other = make()
    other.key, other.kid = desk.key, desk.kid

    assert "accountDoesNotExist" == problem(other.post("new-order", WISH))
    other.kid = other.url("account/1")
    assert "accountDoesNotExist" == problem(other.post("new-order", WISH))


def test_a_nonce_is_good_once(desk):
    """Also after a request that failed; and the answer brings a fresh one."""
    envelope = desk.sign(desk.header("new-order"), WISH)
    desk.send("new-order", envelope)

    again = desk.send("new-order", envelope)

    assert "badNonce" == problem(again)
    assert 1 == len(orders_of(desk))
    assert 201 == desk.post("new-order", WISH, nonce=again.headers["replay-nonce"]).status_code


@pytest.mark.parametrize("nonce", [None, "AAAA", b64(bytes(40)), "", "not base64!"])
def test_only_our_nonces_count(desk, nonce):
    """Missing, made up, or of another server."""
    header = desk.header("new-order")
    header.pop("nonce")
    if nonce is not None:
        header["nonce"] = nonce

    answer = desk.send("new-order", desk.sign(header, WISH))

    assert problem(answer) in {"badNonce", "malformed"}
    assert [] == orders_of(desk)


def test_a_nonce_that_was_not_verified_is_not_used_up(desk):
    """Who cannot sign cannot spend the nonces of others."""
    header = desk.header("new-order")
    desk.send("new-order", desk.sign(header, WISH, ECKey.generate_key("P-256")))

    assert 201 == desk.send("new-order", desk.sign(header, WISH)).status_code


def test_a_large_request_is_not_read(desk):
    """64 KiB are plenty."""
    answer = desk.post("new-order", {"identifiers": [], "padding": "x" * 70_000})

    assert HTTPStatus.REQUEST_ENTITY_TOO_LARGE == answer.status_code
    assert "malformed" == problem(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"protected": 1, "payload": "", "signature": ""}',
        b'{"payload": "", "signature": ""}',
        b'{"protected": "e30", "payload": "", "signature": "", "header": {}}',
        b'{"protected": "e30", "signatures": []}',
        b'{"protected": "e30=", "payload": "", "signature": ""}',
        b'{"protected": "e30", "protected": "e30", "payload": "", "signature": ""}',
        b"[" * 30_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_envelope_is_refused(desk, body):
    """Flattened JWS and nothing else; no key twice, no unprotected header."""
    assert "malformed" == problem(desk.send("new-order", body))


def test_headers_that_change_the_meaning_are_refused(desk):
    """crit, b64, x5u: what we do not know might mean something."""
    for extra in ({"b64": False, "crit": ["b64"]}, {"x5u": "https://evil.example"}, {"crit": []}):
        header = desk.header("new-order") | extra
        envelope = {"protected": b64(json.dumps(header).encode()), "payload": "", "signature": "AA"}

        assert "malformed" == problem(desk.send("new-order", envelope))


def test_a_key_twice_in_the_payload_is_refused(desk):
    """Two readers would see two requests."""
    twice = b'{"identifiers": [], "identifiers": [{"type": "dns", "value": "a.example"}]}'
    envelope = desk.sign_octets(desk.header("new-order"), twice)

    answer = desk.send("new-order", envelope)

    assert "malformed" == problem(answer)
    assert "twice" in answer.json["detail"]


def test_the_content_type_is_held(desk):
    """RFC 8555 section 6.2: 415 for anything else."""
    envelope = desk.sign(desk.header("new-order"), WISH)

    answer = desk.send("new-order", envelope, {"Content-Type": "application/json"})

    assert HTTPStatus.UNSUPPORTED_MEDIA_TYPE == answer.status_code
    assert "malformed" == problem(answer)
    assert JOSE["Content-Type"] in answer.json["detail"]


def test_weak_and_odd_account_keys_are_refused(make):
    """Too short, on another curve, with a private half, or no key at all."""
    client = make()
    short = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505 - as it should not be
    odd = ECKey.generate_key("secp256k1")
    private = client.key.as_dict(private=True)

    for jwk in (
        {"kty": "RSA", "n": _integer(short.n), "e": _integer(short.e)},
        odd.as_dict(private=False),
        private,
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": 1, "y": 2},
        {},
    ):
        assert "badPublicKey" == problem(client.post("new-account", {}, jwk=jwk))


def test_another_account_sees_nothing(prover):
    """Orders, authorizations, challenges and certificates are of one account."""
    pending = prover.order("www.example.com")
    challenge = prover.challenge(pending)
    thief = prover.another()
    thief.register()

    for url in (
        pending.headers["location"],
        pending.json["authorizations"][0],
        challenge["url"],
        f"{prover.kid}/orders",
        prover.kid,
    ):
        assert "unauthorized" == problem(thief.post(url))
    assert "unauthorized" == problem(thief.finalize(pending, csr_of("www.example.com")))
    assert "unauthorized" == problem(thief.post(challenge["url"], {}))


def _integer(number):
    return b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))
