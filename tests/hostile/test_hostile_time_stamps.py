"""Tampered, truncated, huge and deep requests at /tsa, in both protocols: their own refusals."""

import base64
import time

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.time_stamp_responses import read_response
from pikaserver_tsa.station import station
from pikaserver_tsa.verifying import read_token
from tests.fuzz import service_seeds as seeds
from tests.fuzz.mutation import Mutator, boundaries
from tests.hostile.bent_queries import AUTHENTICODE, BENT, BINARY, GOOD, QUERY
from tests.hostile.forging import nested, truncations

MANY = 300


def refused(answer, media):
    """Judge an answer: in the protocol's own words, never a page and never a fault of ours."""
    assert b"Traceback" not in answer.content
    assert b"<html" not in answer.content
    if answer.headers["content-type"] == "application/timestamp-reply":
        assert 200 == answer.status_code
        with pytest.raises(MalformedRequest, match=r"no time-stamp: [A-Z_]+; "):
            read_response(answer.content)
        return
    assert media == BINARY
    assert 400 == answer.status_code, answer.text


@pytest.fixture
def post(door, caplog):
    """Send a body; afterwards the service is as good as before, and nothing went wrong."""
    # The server's clock stands still, so its monotonic one has to, too.
    station(door.server).clock.monotonic = lambda: 0.0

    def send(body, media=QUERY):
        began = time.process_time()
        answer = door.client.send("POST", "/tsa", body, headers={"Content-Type": media})
        spent = time.process_time() - began
        assert spent <= max(1, len(body) / 65_536), f"{spent:.1f} s for {len(body)} octets"
        return answer

    yield send
    info = read_token(send(GOOD).content)[1]
    assert 2**63 == info.nonce
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("media", [QUERY, BINARY])
@pytest.mark.parametrize("what", BENT)
def test_a_bent_query_is_refused(post, what, media):
    """With PKIFailureInfo and words, whatever the content type says."""
    refused(post(BENT[what], media), QUERY)


def test_a_query_is_refused_wherever_it_is_cut(post):
    """And without each of its octets."""
    for octets in boundaries(GOOD):
        refused(post(octets), QUERY)


def test_mutated_queries_are_refused_or_stamped(post):
    """Nothing else happens."""
    mutator = Mutator(seeds.requests(), (), is_der=True, seed=3161)

    for _ in range(MANY):
        answer = post(mutator.next()[:65_536])

        assert 200 == answer.status_code
        assert "application/timestamp-reply" == answer.headers["content-type"]


@pytest.mark.parametrize("media", [QUERY, BINARY, ""])
def test_what_is_larger_than_the_door_is_not_read(post, media):
    """Who speaks RFC 3161 hears its refusal, all others HTTP's 413."""
    for octets in (65_537, 1_000_000):
        answer = post(bytes(octets), media)

        if media == QUERY:
            refused(answer, media)
            assert b"65536 octets" in answer.content
        else:
            assert 413 == answer.status_code


@pytest.mark.parametrize("path", ["/tsa/nobody", "/tsa/issuing/nothing", "/tsa/%00", "/tsa/ "])
def test_who_asks_nobody_is_refused(door, path):
    """PKIFailureInfo badRequest, with words; what is no path of ours is HTTP's business."""
    answer = door.client.send("POST", path, GOOD, headers={"Content-Type": QUERY})

    if answer.status_code == 200:
        with pytest.raises(MalformedRequest, match=r"no time-stamp: BAD_REQUEST; .* no "):
            read_response(answer.content)
    else:
        assert path == "/tsa/%00"
        assert answer.status_code in (400, 404)
    answer = door.client.send("POST", path, GOOD, headers={"Content-Type": BINARY})
    assert answer.status_code in (400, 404)


class TestAuthenticode:
    """The legacy protocol has no words for a refusal; HTTP says it."""

    DATA = der.oid("1.2.840.113549.1.7.1")

    @pytest.mark.parametrize(
        "inside",
        [
            b"",
            der.null(),
            der.octet_string(bytes(40_000)),
            der.sequence(),
            der.sequence(DATA),
            der.sequence(DATA, der.context(0, b"")),
            der.sequence(DATA, der.context(0, der.null())),
            der.sequence(DATA, der.context(0, der.octet_string(b"a") * 2)),
            der.sequence(DATA, der.context(1, der.octet_string(b"a"))),
            der.sequence(DATA, der.context(0, der.octet_string(bytes(20_000)))),
            der.sequence(DATA, der.context(0, nested(900))),
            der.sequence(DATA, der.context(0, der.octet_string(b"a"))) * 2,
            nested(5000),
            der.null() * 10_000,
        ],
    )
    def test_a_bent_request_is_refused(self, post, inside):
        """400, a sentence."""
        refused(post(base64.encodebytes(der.sequence(AUTHENTICODE, inside)), BINARY), BINARY)

    def test_a_request_is_refused_wherever_it_is_cut(self, post):
        """In base64 and in DER."""
        (good, _) = seeds.authenticode()
        text = base64.b64encode(good)

        for body in (
            *truncations(text, 7),
            *(base64.b64encode(octets) for octets in truncations(good, 5)),
            text + b"!",
            text + b"\x00",
            text[:40] + b"\xff" + text[40:],
        ):
            refused(post(body, BINARY), BINARY)

    def test_mutated_requests_are_refused_or_stamped(self, post):
        """Nothing else happens."""
        mutator = Mutator(seeds.authenticode(), (), is_der=True, seed=311)

        for _ in range(MANY):
            body = base64.b64encode(mutator.next())[:65_536]

            assert post(body, BINARY).status_code in (200, 400)
