"""Odd methods, paths, headers and credentials at every route: a clear 4xx, never a 500."""

import base64

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.forging import dns, with_names

GOOD = base64.b64encode(with_names(dns("plc-21.example")))
ENROLL = "/.well-known/est/simpleenroll"
TYPE = {"Content-Type": "application/pkcs10"}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
PATHS = (
    "/.well-known/est/cacerts",
    ENROLL,
    "/.well-known/est/simplereenroll",
    "/.well-known/est/csrattrs",
    "/.well-known/est/serverkeygen",
    "/.well-known/est/fullcmc",
    "/.well-known/est/",
    "/.well-known/est//simpleenroll",
    "/.well-known/est/../est/simpleenroll",
    "/.well-known/est/device%2Fsimpleenroll",
    "/.well-known/est/%00/cacerts",
    "/.well-known/est/dev\u0456ce/cacerts",
    "/.well-known/est/" + "a" * 8000 + "/cacerts",
    "/crl/..%2f..%2fetc%2fpasswd.crl",
    "/crl/issuing.g0.crl",
    "/crl/issuing.g99999999999.crl",
    "/crl/.crl",
    "/ca/.pem",
    "/ca/issuing.key",
    "/status/",
    "/status/0",
    "/status/-1",
    "/status/zz",
    "/status/" + "F" * 5000,
    "/requests/0/download",
    "/requests/-1/download",
    "/requests/99999999999999999999999/download",
    "/requests/x/download",
    "/expired?days=-1",
    "/expired?days=x",
    "/expired?days=99999999999999999999",
    "/expired?days=1&days=x",
    "/api/v1",
    "/api/v1/certificates",
    "/api/v1/certificates?template=device",
    "/api/v1/certificates?template=%00",
    "/api/v1/certificates/%00",
    "/api/v1/certificates/" + "F" * 64,
    "/api/v1/certificates/01/renewal",
    "/api/v1/certificates/01/revocation",
    "/api/v1/certificates/..%2f..%2fetc%2fpasswd",
    "/api/v1/requests/99999999999999999999999",
    "/api/v1/requests/1",
    "/api/v1/templates?cursor=%ff",
    "/api/v1/authorities/%00?format=pem",
    "/api/v1/authorities?limit=99999999999999999999",
    "/api/v1/problems/..%2fopenapi.json",
    "//",
    "/*",
    "/livez/../readyz",
)
# What answers kindly to some of them.
KIND = (200, 204, 302)


@pytest.mark.parametrize("method", METHODS)
def test_every_path_takes_every_method(door, refused, method):
    """Or refuses it: nothing is issued, and nothing goes wrong."""
    for path in PATHS:
        answer = door.client.send(method, path, GOOD if method == "POST" else b"", headers=TYPE)
        if answer.status_code not in KIND:
            refused(answer)


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic =",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"a:b\0").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + "A" * 100_000,
        "Basic " + base64.b64encode(b"' OR 1=1 --:x").decode(),
        "Digest username=x",
        "Bearer x",
        "Basic QTpC, Basic QTpC",
        "\xe9",
    ],
)
def test_credentials_of_any_kind_are_refused(door, refused, header):
    """With 401 and a challenge."""
    answer = door.client.send("POST", ENROLL, GOOD, headers={**TYPE, "Authorization": header})

    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/pkcs10x",
        "multipart/form-data",
        ";",
        ",",
        "application/json",
        "\xff",
    ],
)
def test_another_content_type_is_refused(door, refused, content_type):
    """Before anything in the body is read."""
    answer = door.client.send(
        "POST", ENROLL, GOOD, headers={"Content-Type": content_type}, user=door.code
    )

    refused(answer, 415)


HEADER_TEXT = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=100
)
MANY = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@MANY
@given(HEADER_TEXT, HEADER_TEXT, HEADER_TEXT)
def test_headers_of_anything_let_nobody_in(door, refused, credentials, content_type, agent):
    """Who asks without a code gets nothing, whatever the headers say."""
    headers = {"Authorization": credentials, "Content-Type": content_type, "User-Agent": agent}

    refused(door.client.send("POST", ENROLL, GOOD, headers=headers))


@MANY
@given(st.lists(st.sampled_from([*PATHS, "..", "%", "?", "#", "\u202e", "a", "."]), max_size=4))
def test_paths_of_anything_issue_nothing(door, refused, parts):
    """Found or not."""
    answer = door.client.send("POST", "/" + "/".join(parts), GOOD, headers=TYPE)

    if answer.status_code not in KIND:
        refused(answer)
