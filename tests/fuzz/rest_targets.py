"""What the REST door reads: wishes in JSON, and requests as they are."""

import json
from collections.abc import Mapping

from pikaserver.api.errors import MalformedRequest
from pikaserver_rest.bodies import CertificateWish, read_body
from pikaserver_rest.issuing import read_key
from pikaserver_rest.wishes import read_bare, wish_of
from tests.fuzz import seeds
from tests.fuzz.target import Target

MALFORMED = (MalformedRequest,)
_WORDS = (
    *(b"[" * 3000, b'{"a":' * 2000, b"1e999", b"NaN", b"\\ud800", b"\\u0000", b"null", b"9" * 5000),
    *(b'"template":"web",', b'"csr":"",', b"\xef\xbb\xbf", b"\xff", b"\0", b"-----BEGIN X-----"),
)


def _wish(octets: bytes) -> None:
    body = read_body(octets, CertificateWish)
    wish = wish_of(body, body.template)
    if wish.fingerprint() != wish_of(body, body.template).fingerprint():
        raise AssertionError("one wish has two fingerprints")


def _wishes() -> list[bytes]:
    text = seeds.bodies()[0].decode()
    wish = {"template": "device", "csr": text}
    pair = {**wish, "pairedCsr": text, "validity": "90d"}
    return [json.dumps(one).encode() for one in (wish, pair)]


REST_TARGETS: Mapping[str, Target] = {
    "rest-wish": Target(_wish, MALFORMED, _wishes, _WORDS),
    "rest-request": Target(read_bare, MALFORMED, seeds.bodies, _WORDS),
    "idempotency-key": Target(
        lambda octets: read_key(octets.decode("latin-1")), MALFORMED, lambda: [b'"8e03-978e"']
    ),
}
