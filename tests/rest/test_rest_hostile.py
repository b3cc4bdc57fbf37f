"""Bodies, headers and queries of anything: a clear 4xx in the form that is described."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.testing.damage import altered
from pikaserver_rest.bodies import CertificateWish, RevocationWish, read_body
from pikaserver_rest.issuing import read_key
from pikaserver_rest.json_text import read_object
from pikaserver_rest.wishes import read_period
from tests.rest.asking import JSON, make_csr

GOOD = base64.b64encode(make_csr("plc-1")).decode()
WISH = {"template": "device", "csr": GOOD}
MANY = settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="session")
def user(door):
    return door.code(uses=1000)


@pytest.fixture
def refused(door, user, caplog):
    """Give a judge: the body is refused, nothing is issued, and nothing went wrong."""
    before = door.issued()

    def judge(body, *statuses, headers=JSON, path="/certificates"):
        answer = door.send("POST", path, body, headers=headers, user=user)
        assert 400 <= answer.status_code < 500, answer.text
        assert not statuses or answer.status_code in statuses, answer.text
        assert before == door.issued()
        assert not [record for record in caplog.records if record.exc_info]
        return answer

    return judge


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"device"',
        b"{",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"template": "device", "template": "web", "csr": "AA=="}',
        b'{"template": "device", "csr": NaN}',
        b'{"template": "device", "csr": 1e999}',
        b'{"template": "device", "csr": ' + b"9" * 50_000 + b"}",
        b'{"template": "dev\\u0000ice", "csr": "AA=="}',
        b'{"template": "device", "csr": "\\ud800"}',
        b'{"\\udfff": "", "template": "device", "csr": "AA=="}',
        json.dumps({**WISH, "extra": 1}).encode(),
        json.dumps({**WISH, "Template": "device"}).encode(),
        json.dumps({**WISH, "paired_csr": GOOD}).encode(),
        json.dumps({**WISH, "template": ["device"]}).encode(),
        json.dumps({**WISH, "template": "../device"}).encode(),
        json.dumps({**WISH, "template": "d\u0435vice"}).encode(),
        json.dumps({**WISH, "template": ""}).encode(),
        json.dumps({**WISH, "csr": ""}).encode(),
        json.dumps({**WISH, "csr": GOOD + GOOD}).encode(),
        json.dumps({**WISH, "csr": "\u0660" + GOOD}).encode(),
        json.dumps({**WISH, "csr": "-----BEGIN CERTIFICATE-----"}).encode(),
        json.dumps({**WISH, "csr": None}).encode(),
        json.dumps({**WISH, "validity": 90}).encode(),
        json.dumps({**WISH, "validity": "90"}).encode(),
        json.dumps({**WISH, "validity": "-1d"}).encode(),
        json.dumps({**WISH, "validity": "9999999d"}).encode(),
        json.dumps({**WISH, "validity": "\u0661d"}).encode(),
        json.dumps({"csr": GOOD}).encode(),
    ],
)
def test_a_body_that_is_none_is_malformed(refused, body):
    """400, and the first fault is told."""
    answer = refused(body, 400)

    assert "/api/v1/problems/malformed-request" == answer.json["type"]
    assert answer.json["detail"].isascii()


@pytest.mark.parametrize("validity", ["0d", "999999y", "11y"])
def test_a_lifetime_beyond_the_rules_is_refused(refused, validity):
    """By the template, whatever its size."""
    refused(json.dumps({**WISH, "validity": validity}).encode(), 422)


def test_a_body_that_is_too_large_is_not_read(refused):
    """413: two requests and their JSON fit below it by far."""
    refused(b" " * (128 * 1024) + json.dumps(WISH).encode(), 413)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/json", "application/jsonx", "application/xml", ",", ";", "\xff", "a" * 5000],
)
def test_another_content_type_is_refused(refused, content_type):
    """415, and what belongs here."""
    answer = refused(json.dumps(WISH).encode(), 415, headers={"Content-Type": content_type})

    assert "application/json or application/pkcs10" == answer.headers["accept"]


@pytest.mark.parametrize(
    "path",
    [
        "/certificates?template=device",
        "/certificates?validity=1d",
        "/certificates?format=json&format=pem",
        "/certificates?format=",
        "/certificates?%00=1",
        "/certificates?format=%00",
        "/certificates?a[]=1",
    ],
)
def test_parameters_are_those_that_mean_something(refused, path):
    """400; of a JSON body none of them repeats a member."""
    refused(json.dumps(WISH).encode(), 400, path=path)


@pytest.mark.parametrize("accept", ["text/html", "x", ",", "a/b;q=x", "application/json;q=0"])
def test_what_nobody_can_be_given_is_not_acceptable(refused, accept):
    """406, also where the header itself is none."""
    refused(json.dumps(WISH).encode(), 406, headers={**JSON, "Accept": accept})


def test_a_damaged_request_is_refused(refused):
    """Wherever an octet is another one: it cannot be read, or its signature does not fit."""
    der = base64.b64decode(GOOD)

    for place in range(0, len(der), 5):
        damaged = base64.b64encode(altered(der, place)).decode()
        refused(json.dumps({**WISH, "csr": damaged}).encode())


@settings(MANY, max_examples=30)
@given(st.dictionaries(st.sampled_from([*WISH, "validity", "pairedCsr", "x"]), VALUES, max_size=4))
def test_documents_of_anything_are_refused(refused, document):
    """No CSR stands in them by chance."""
    refused(json.dumps(document).encode(errors="replace"), 400)


@MANY
@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/pkcs10"]))
def test_octets_of_anything_are_refused(refused, octets, kind):
    """At both forms of the body."""
    path = "/certificates" + ("?template=device" if kind.endswith("10") else "")

    refused(octets, 400, headers={"Content-Type": kind}, path=path)


@MANY
@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")),
)
def test_headers_of_anything_let_nobody_in(door, credentials, key):
    """401, whatever else is there."""
    headers = {**JSON, "Authorization": credentials, "Idempotency-Key": key, "Accept": key}

    answer = door.send("POST", "/certificates", json.dumps(WISH).encode(), headers=headers)

    assert 401 == answer.status_code


@MANY
@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode(errors="replace")))
@example(b'{"a": {"a": 1, "a": 2}}')
@example(b'{"a": "\\ud83d\\ude00"}')
def test_the_reader_of_json_says_malformed_or_returns_an_object(octets):
    """Nothing else ever leaves it, and what it returns can be stored as UTF-8 without NUL."""
    for read in (
        read_object,
        lambda body: read_body(body, CertificateWish),
        lambda body: read_body(body, RevocationWish),
    ):
        try:
            found = read(octets)
        except MalformedRequest:
            continue
        else:
            text = found if isinstance(found, dict) else found.model_dump()
            assert b"\\u0000" not in json.dumps(text, ensure_ascii=False).encode()


@MANY
@given(st.text(max_size=300))
def test_small_readers_say_malformed_or_return_a_value(text):
    """Of idempotency keys and of durations."""
    for read in (read_key, read_period):
        with suppress(MalformedRequest):
            read(text)
