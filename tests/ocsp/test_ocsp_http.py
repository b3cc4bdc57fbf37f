"""OCSP over HTTP: POST, GET in every legal spelling, caches, and errors that are never HTML."""

import base64
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.asn1.ocsp import ResponseStatus, make_cert_id
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import LIMIT_OCTETS, read_request, write_request
from pikaserver.testing.client import ServiceClient
from pikaserver_ocsp import messages
from pikaserver_ocsp.plugin import register_services

TYPE = "application/ocsp-response"


@pytest.fixture
def client(house):
    """Give a client on a plain line."""
    return ServiceClient(*register_services(house.server), tls=False)


@pytest.fixture
def request_octets(house, record):
    return write_request([house.cert_id(record)])


def in_path(octets):
    """Return base64, percent-encoded as RFC 6960 appendix A.1 has it."""
    return quote(base64.b64encode(octets).decode(), safe="")


def spoken(answer):
    """Return the status of an OCSP answer, and the answer itself."""
    assert (200, TYPE) == (answer.status_code, answer.headers["content-type"])
    return read_response(answer.content)


def test_post_and_get_give_the_same(client, request_octets):
    """At the address of all authorities, and at that of one."""
    posted = [client.send("POST", path, request_octets) for path in ("/ocsp", "/ocsp/issuing")]
    got = [client.get(f"{path}/{in_path(request_octets)}") for path in ("/ocsp", "/ocsp/issuing")]

    assert 1 == len({answer.content for answer in [*posted, *got]})
    for answer in [*posted, *got]:
        assert ResponseStatus.SUCCESSFUL is spoken(answer)[0]


def slashed(house, record):
    """Return a request whose base64 has everything that a path may garble, two slashes too."""
    issuer = house.cert_id(record).issuer
    odd = b"\xff" * 5 + b"\xfb\xef\xbe\xfb\xef\0\0" * 3
    for length in range(1, 4):
        serial = int.from_bytes(b"\1" * length + odd, "big")
        octets = write_request([make_cert_id(issuer, serial)])
        text = base64.b64encode(octets).decode()
        if "//" in text and "+" in text and "=" in text:
            return octets
    raise AssertionError("no such request")


@pytest.mark.parametrize("authority", ["", "/issuing"])
def test_get_takes_any_legal_spelling(client, house, record, authority):
    """``%2F`` or ``/``, ``//``, ``%2B`` or ``+``, ``%3D`` or ``=`` or no padding at all."""
    octets = slashed(house, record)
    text = base64.b64encode(octets).decode()
    spellings = {
        text,
        quote(text, safe=""),
        quote(text, safe="/"),
        quote(text, safe="+"),
        quote(text, safe="="),
        text.rstrip("="),
        quote(text.rstrip("="), safe=""),
        text.replace("/", "%2f").replace("+", "%2b"),
        "".join(f"%{octet:02X}" for octet in text.encode()),
        "/" + text,
        quote(text[:40] + "\r\n" + text[40:] + "\n", safe=""),
    }

    for spelling in spellings:
        status, basic = spoken(client.get(f"/ocsp{authority}/{spelling}"))
        assert ResponseStatus.SUCCESSFUL is status, spelling
        assert read_request(octets).cert_ids == tuple(one.cert_id for one in basic.answers)


@pytest.mark.parametrize(
    "path",
    [
        "/ocsp",
        "/ocsp/",
        "/ocsp/issuing",
        "/ocsp/issuing/",
        "/ocsp/MA",
        "/ocsp/issuing/MAMB",
        "/ocsp/M",
        "/ocsp/MF%00",
        "/ocsp/M*==",
        "/ocsp/====",
        "/ocsp/nobody",
        "/ocsp/" + "MFIw" * 500,
        "/ocsp/%FF%FE",
        "/ocsp/M\u0130",
    ],
)
def test_other_paths_are_malformed_requests(client, path):
    """Never HTML, never another status of HTTP."""
    assert (ResponseStatus.MALFORMED_REQUEST, None) == spoken(client.get(path))


@pytest.mark.parametrize("octets", [b"", b"<html>", b"\x30\x80\0\0", b"\x30" * 5000])
def test_other_bodies_are_malformed_requests(client, octets):
    """Whatever the client says of their type."""
    for headers in ({}, {"Content-Type": "text/html"}):
        answer = client.send("POST", "/ocsp", octets, headers=headers)
        assert (ResponseStatus.MALFORMED_REQUEST, None) == spoken(answer)


def test_too_large_a_body_is_a_malformed_request(client):
    """The application refuses it, in OCSP's words."""
    answer = client.send("POST", "/ocsp", bytes(LIMIT_OCTETS + 1))

    assert (ResponseStatus.MALFORMED_REQUEST, None) == spoken(answer)


@pytest.mark.parametrize("path", ["/ocsp/nobody", "/ocsp/nobody/", "/ocsp/ISSUING", "/ocsp/a/b"])
def test_an_unknown_authority_is_unauthorized(client, request_octets, path):
    """RFC 6960 section 2.3: nobody here can speak for it."""
    answers = [client.send("POST", path, request_octets)]
    if path.count("/") == 2:
        answers.append(client.get(f"{path}/{in_path(request_octets)}"))

    for answer in answers:
        assert (ResponseStatus.UNAUTHORIZED, None) == spoken(answer)


def test_another_method_is_refused_without_html(client):
    """RFC 9110 section 15.5.6."""
    answer = client.send("PUT", "/ocsp", b"x")

    assert 405 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]


def test_get_tells_caches_how_long(client, house, request_octets):
    """RFC 5019 section 6.2: until shortly after, though the answer counts for longer."""
    house.server.clock.advance(timedelta(seconds=0.25))
    path = f"/ocsp/{in_path(request_octets)}"
    first = client.get(path)
    house.server.clock.advance(timedelta(seconds=10))

    answer = client.get(path)

    _, basic = spoken(answer)
    headers = answer.headers
    expected = "max-age=60, public, no-transform, must-revalidate"
    assert expected == headers["cache-control"]
    assert f"{basic.answers[0].this_update:%a, %d %b %Y %H:%M:%S} GMT" == headers["last-modified"]
    assert f"{basic.answers[0].next_update:%a, %d %b %Y %H:%M:%S} GMT" == headers["expires"]
    assert first.headers["etag"] == headers["etag"]
    # Of the same second there might be another one.
    assert "last-modified" not in first.headers


def test_caches_never_keep_an_answer_beyond_its_end(client, house, request_octets):
    """However long the setting is."""
    path = f"/ocsp/{in_path(request_octets)}"
    client.get(path)
    house.server.services.failure = MalformedRequest("so that no newer one is made")
    house.server.clock.advance(timedelta(hours=11, minutes=59, seconds=50))

    assert client.get(path).headers["cache-control"].startswith("max-age=9,")


def test_what_a_client_has_is_not_sent_again(client, house, record, request_octets):
    """304 by its tag or its date, until the status changes."""
    path = f"/ocsp/{in_path(request_octets)}"
    house.server.clock.advance(timedelta(seconds=5))
    client.get(path)
    house.server.clock.advance(timedelta(seconds=5))
    first = client.get(path)
    has = [
        {"If-None-Match": first.headers["etag"]},
        {"If-None-Match": f'"x", {first.headers["etag"]}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": first.headers["last-modified"]},
    ]

    for headers in has:
        answer = client.get(path, headers)
        assert (304, b"") == (answer.status_code, answer.content)
        assert first.headers["etag"] == answer.headers["etag"]
    for headers in ({"If-None-Match": '"x"'}, {"If-Modified-Since": "yesterday"}):
        assert 200 == client.get(path, headers).status_code

    house.revoke(record)
    for headers in (has[0], has[3]):
        _, basic = spoken(client.get(path, headers))
        assert "revoked" == basic.answers[0].status


def test_a_date_cannot_hide_a_revocation_of_the_same_second(client, house, record, request_octets):
    """Two answers of one second differ by their tags only."""
    path = f"/ocsp/{in_path(request_octets)}"
    answer = client.get(path)
    house.revoke(record)
    since = answer.headers["expires"].replace("23:59:59", "12:00:00")
    house.server.clock.advance(timedelta(seconds=0.5))

    _, basic = spoken(client.get(path, {"If-Modified-Since": since}))

    assert "revoked" == basic.answers[0].status


def test_head_tells_the_same_without_a_body(client, request_octets):
    """RFC 9110 section 9.3.2."""
    answer = client.send("HEAD", f"/ocsp/{in_path(request_octets)}")

    assert (200, b"") == (answer.status_code, answer.content)
    assert answer.headers["etag"]


def test_only_what_is_for_everybody_is_cached(client, house, record, request_octets):
    """Neither answers to POST, nor those with a nonce, nor errors, nor what may change soon."""
    nonce = write_request([house.cert_id(record)], b"n" * 16)
    several = write_request([house.cert_id(record)] * 2)
    stranger = write_request([house.stranger()])
    answers = [client.send("POST", "/ocsp", request_octets), client.get("/ocsp/MAMB")]
    answers += [client.get(f"/ocsp/{in_path(one)}") for one in (nonce, several, stranger)]

    for answer in answers:
        assert "no-store" == answer.headers["cache-control"]
        assert "etag" not in answer.headers


@settings(max_examples=400)
@given(st.text(max_size=60) | st.from_regex(r"[a-z]{0,5}/?M[A-Za-z0-9+/]{0,40}={0,3}"))
def test_any_path_is_read_or_refused(rest):
    """Nothing but an error of ours comes out."""
    try:
        messages.read_get(rest, lambda name: name == "a")
    except (MalformedRequest, NotFound):
        return
