"""The readers of OCSP: requests, answers, and requests in paths."""

from collections.abc import Mapping

from pikaserver.api.errors import MalformedRequest, NotFound
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import read_request
from pikaserver_ocsp.messages import read_get
from tests.fuzz import ocsp_seeds
from tests.fuzz.target import Target

MALFORMED = (MalformedRequest,)
_WORDS = (
    *(b"\x30\x80", b"\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"\x02\x01\x00", b"\x0a\x01\x06"),
    *(b"\x18\x0f20260501120000Z", b"\x80\x00", b"\xa0\x00", b"\xa1\x00", b"\x04\x00"),
)


def _path(octets: bytes) -> object:
    return read_get(octets.decode("utf-8", "surrogateescape"), "issuing".__eq__)


OCSP_TARGETS: Mapping[str, Target] = {
    "ocsp-request": Target(read_request, MALFORMED, ocsp_seeds.requests, _WORDS, is_der=True),
    "ocsp-answer": Target(read_response, MALFORMED, ocsp_seeds.answers, _WORDS, is_der=True),
    "ocsp-path": Target(
        _path,
        (MalformedRequest, NotFound),
        ocsp_seeds.paths,
        (b"/", b"//", b"M", b"=", b"issuing", b"%2F"),
    ),
}
