"""Whatever a stranger sends: read as it was written, or refused in ACME's words."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pikaserver.api.errors import RequestRejected
from pikaserver_acme import moments
from pikaserver_acme.identifiers import (
    Identifier,
    NotAnIdentifier,
    allows,
    check_pattern,
    identifier,
)
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import read_object
from pikaserver_acme.jose.jws import read_message
from pikaserver_acme.jose.keys import read_key
from pikaserver_acme.places import Places, origin_of
from pikaserver_acme.policies.rules import PolicyRules, read_rules, stored_rules, written_rules
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.telling import bound_commands
from pikaserver_acme.wishes import read_authorization, read_order
from tests.acme.desk import ORIGIN

SHORT = some.text("aZ09-_.*:/= é\u0000", max_size=10)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | SHORT,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(SHORT, inner, max_size=3),
    max_leaves=8,
)
WISHES = some.sampled_from(
    ["identifiers", "notBefore", "notAfter", "replaces", "profile", "auto-renewal"]
)
RULES = PolicyRules(template="web", auto_renewal={"allowed": True}, subdomains=True)
NAMES = some.from_regex(r"(\*\.)?([a-z0-9]{1,5}\.){1,3}[a-z]{2,5}", fullmatch=True)


@given(some.binary(max_size=300))
def test_octets_are_an_envelope_or_refused(octets):
    with pytest.raises(AcmeError):
        read_message(octets)


@given(some.dictionaries(some.sampled_from(["protected", "payload", "signature", "x"]), VALUES))
def test_json_is_an_envelope_or_refused(document):
    with pytest.raises(AcmeError):
        read_message(json.dumps(document).encode())


@given(some.dictionaries(SHORT, VALUES, max_size=4))
def test_an_object_is_read_as_it_was_written(document):
    """Unless it holds what JSON has no word for."""
    text = json.dumps(document)
    try:
        assert json.loads(text) == read_object(text.encode(), "it")
    except AcmeError:
        assert "Infinity" in text or "NaN" in text


@given(some.binary(max_size=100))
def test_base64url_has_one_spelling(octets):
    text = base64url.encode(octets)

    assert octets == base64url.decode(text, "it")
    for other in (text + "=", text + "\n", f" {text}"):
        with pytest.raises(AcmeError):
            base64url.decode(other, "it")


@given(some.text(max_size=80))
def test_any_text_is_base64url_or_refused(text):
    with contextlib.suppress(AcmeError):
        assert text == base64url.encode(base64url.decode(text, "it"))


@given(some.dictionaries(some.sampled_from(["kty", "crv", "x", "y", "n", "e", "d"]), VALUES))
def test_any_object_is_a_key_or_refused(document):
    for kind in ("EC", "RSA", "OKP"):
        with pytest.raises(AcmeError):
            read_key({"crv": "P-256", **document, "kty": kind})


@given(some.sampled_from(["dns", "ip", "permanent-identifier", "x"]), some.text(max_size=80))
def test_an_identifier_is_spelled_once(kind, text):
    """What was read is read again as the same."""
    try:
        found = identifier(kind, text)
    except NotAnIdentifier:
        return
    assert found == identifier(found.type, found.value)


@given(NAMES)
def test_a_name_is_covered_by_itself_and_by_those_above(name):
    asked = identifier("dns", name)
    above = asked.base.partition(".")[2]

    assert allows([name], asked)
    assert allows(["*"], asked)
    if not asked.wildcard:
        assert allows([f"*.{above}"], asked)
        assert not allows([f"*.{asked.base}"], asked)
    assert not allows([f"x{asked.base}"], asked)


@given(some.text(max_size=60))
def test_a_pattern_is_one_or_refused(text):
    try:
        found = check_pattern(text)
    except RequestRejected:
        return
    assert found == check_pattern(found)


@given(some.dictionaries(WISHES, VALUES))
def test_an_order_is_read_or_refused(wish):
    now = moments.moment(1_700_000_000_000)
    for wanted in (wish, {**wish, "identifiers": [{"type": "dns", "value": "a.example"}]}):
        try:
            found = read_order(wanted, RULES, (), now)
        except RequestRejected:
            continue
        assert found.identifiers


@given(VALUES)
def test_an_authorization_is_read_or_refused(document):
    try:
        found, _ = read_authorization({"identifier": document}, RULES, ())
    except RequestRejected:
        return
    assert isinstance(found, Identifier)


@given(some.text(max_size=100))
def test_a_url_names_an_account_in_one_spelling(text):
    places = Places(ORIGIN, "web")

    assert places.account_id(text) is None or text == places.account(places.account_id(text))
    assert places.account_id(f"{ORIGIN}/acme/web/account/{text}") in {
        None,
        *([int(text)] if text.isascii() and text.isdecimal() else []),
    }
    assert 7 == places.account_id(places.account(7))


@given(some.text(max_size=60))
def test_any_text_has_an_origin_or_none(text):
    found = origin_of(text)

    assert found is None or origin_of(found) == found


@given(some.integers(min_value=0, max_value=4_000_000_000))
def test_times_are_read_as_they_are_written(seconds):
    text = moments.written(seconds * 1000)

    assert seconds * 1000 == moments.stored(moments.read(text, "it"))


@given(some.text(max_size=40))
def test_any_text_is_a_time_or_refused(text):
    with contextlib.suppress(AcmeError):
        assert moments.read(text, "it").tzinfo is not None


def test_rules_are_stored_and_read_again():
    rules = read_rules(
        {
            "template": "web",
            "allow": ["*.EXAMPLE.com", "10.0.0.0/8"],
            "profiles": {"short": {"template": "web"}},
            "vantage-points": [{"name": "far", "dns": ["192.0.2.1:53"]}],
        }
    )

    assert rules == stored_rules(written_rules(rules))
    assert ("*.example.com", "10.0.0.0/8") == rules.allow


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"template": "web", "alow": ["*"]},
        {"template": "web", "allow": ["10.0.0.0/99"]},
        {"template": "web", "challenges": []},
        {"template": "web", "http-port": 0},
        {"template": "web", "challenges": ["http-02"]},
        {"template": "web", "vantage-points": [{"name": "a"}], "dissenting": 1},
    ],
)
def test_rules_that_cannot_be_are_refused(wrong):
    with pytest.raises(RequestRejected):
        read_rules(wrong)


def test_ready_commands_hold_url_and_secret():
    """For each client that is promised."""
    told = bound_commands("https://pki.example/acme/web/directory", "the-kid", "the-hmac")

    assert {
        "certbot", "acme.sh", "lego", "Caddy", "Traefik", "cert-manager", "win-acme", "Certify",
    } == told.keys()  # fmt: skip
    for text in told.values():
        assert all(one in text for one in ("acme/web/directory", "the-kid", "the-hmac"))
